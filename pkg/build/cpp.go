package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/mattn/go-shellwords"
	"go.podman.io/buildah/define"
)

// preprocessed is a Containerfile after cpp, as buildah has it done: cpp's complaints do
// not count as long as there is output.
func preprocessed(ctx context.Context, name string, in io.Reader, o *define.BuildOptions) ([]byte, error) {
	args := []string{"-E", "-iquote", o.ContextDirectory, "-traditional", "-undef", "-"}
	if flags, ok := os.LookupEnv("BUILDAH_CPPFLAGS"); ok {
		more, err := shellwords.Parse(flags)
		if err != nil {
			return nil, fmt.Errorf("BUILDAH_CPPFLAGS %q: %w", flags, err)
		}
		args = append(args, more...)
	}
	cpp := exec.CommandContext(ctx, "cpp", append(args, o.CPPFlags...)...) //nolint:gosec // the user's own flags and file
	var out, complaints bytes.Buffer
	cpp.Stdin, cpp.Stdout, cpp.Stderr = in, &out, &complaints
	switch err := cpp.Run(); {
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("the Containerfile %s: %w: .in support requires cpp to be installed", name, err)
	case err != nil && out.Len() == 0:
		first, _, _ := strings.Cut(complaints.String(), "\n")
		return nil, fmt.Errorf("preprocessing %s: %s: %s", name, err.Error(), first) // not cpp's exit code
	}
	return out.Bytes(), nil
}

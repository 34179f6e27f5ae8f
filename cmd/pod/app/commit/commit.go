// Package commit holds `pod commit`. Of the commands on containers it alone makes images,
// and what those need is not for package container to depend on.
package commit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/library"
	"github.com/rootless-pod/pod/pkg/commit"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod"
)

// maxConfigFile bounds the file of --config.
const maxConfigFile = 4 << 20

type options struct {
	commit.Options
	libpod.CommitOptions
	config, iidfile string
	quiet           bool
}

// New returns `commit`, which stands in the group of containers and at the top.
func New(a *cli.App) *cobra.Command {
	var opts options
	cmd := &cobra.Command{
		Use: "commit [options] CONTAINER [IMAGE]", Short: "Create new image based on the changed container",
		Long: "Makes an image of what a container has written and of its command, environment and the like, and prints the image's id. " +
			"A running container is paused while it is read, where its cgroup allows that. What is mounted in it is left out.",
		Example: "  pod commit web web:fixed\n  pod commit --change 'CMD [\"nginx\"]' --change ENV=A=b web", Args: cobra.RangeArgs(1, 2),
	}
	fs := cmd.Flags()
	fs.StringVarP(&opts.Author, "author", "a", "", "Set the author for the image committed")
	fs.StringArrayVarP(&opts.Changes, "change", "c", nil, "Apply the following possible instructions to the created image: "+
		"CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR")
	fs.StringVar(&opts.config, "config", "", "`file` containing a container configuration to merge into the image")
	fs.StringVarP(&opts.Format, "format", "f", "oci", "`Format` of the image manifest and metadata: oci or docker")
	fs.StringVar(&opts.iidfile, "iidfile", "", "`file` to write the image ID to")
	fs.BoolVar(&opts.IncludeVolumes, "include-volumes", false, "Include container volumes as image volumes")
	fs.StringVarP(&opts.Message, "message", "m", "", "Set commit message for imported image (docker format only)")
	fs.BoolVarP(&opts.Pause, "pause", "p", true, "Pause container during commit")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Suppress output")
	fs.BoolVarP(&opts.Squash, "squash", "s", false, "Squash newly built layers into a single new layer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runCommit(cmd.Context(), a, &opts, args) }
	return cmd
}

func runCommit(ctx context.Context, a *cli.App, opts *options, args []string) error {
	if len(args) > 1 {
		opts.Name = args[1]
	}
	for _, change := range opts.Changes {
		if strings.TrimSpace(change) == "" {
			return errors.New("--change must not be empty: write an instruction, as CMD [\"sh\"]")
		}
	}
	if opts.config != "" {
		config, err := readConfig(opts.config)
		if err != nil {
			return fmt.Errorf("--config %s: %w", opts.config, err)
		}
		opts.Config = config
	}
	if !opts.quiet {
		opts.Progress = a.Err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	maker := commit.New(func() (*image.Store, error) { return library.Images(ctx, a) }, opts.Options)
	id, err := e.Commit(ctx, args[0], opts.CommitOptions, maker)
	if err != nil {
		return err
	}
	if opts.iidfile != "" {
		if err := os.WriteFile(opts.iidfile, []byte(id), a.FileMode()); err != nil {
			return fmt.Errorf("write image id file: %w", err)
		}
	}
	fmt.Fprintln(a.Out, id)
	return nil
}

func readConfig(path string) (*image.Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return nil, err
	}
	return image.ParseConfig(raw)
}

package libpod

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/inroot"
)

// checkTargets refuses images that have a named pipe where something is mounted,
// or on the way there: runtimes open it (crun 1.21 does) and wait for ever. What
// lies below another mount is not the image's.
func checkTargets(root string, mounts []rspec.Mount) error {
	dir, err := os.OpenFile(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("open root file system: %w", err)
	}
	defer dir.Close()
	seen := map[string]bool{"/": true, ".": true}
	for i, m := range mounts {
		if covered(m.Destination, mounts[:i]) {
			continue
		}
		for p := path.Clean(m.Destination); !seen[p]; p = path.Dir(p) {
			seen[p] = true
			if err := checkTarget(dir, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkTarget(root *os.File, p string) error {
	handle, err := inroot.Open(root, p)
	if err != nil {
		return nil //nolint:nilerr // the runtime makes what is missing, or says why it cannot
	}
	defer handle.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(handle.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s of the container: %w", p, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFIFO {
		return fmt.Errorf("%s of the image is a named pipe, where a directory or file is to be mounted: %w", p, errHostileImage)
	}
	return nil
}

// covered says whether an earlier mount lies over a path.
func covered(p string, mounts []rspec.Mount) bool {
	for _, m := range mounts {
		over := path.Clean(m.Destination)
		if over == "/" || strings.HasPrefix(path.Clean(p), over+"/") {
			return true
		}
	}
	return false
}

var errHostileImage = errors.New("the image is broken or hostile, do not use it")

package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/openshift/imagebuilder/dockerfile/command"
	"go.podman.io/buildah/define"
	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/environ"
	"github.com/rootless-pod/pod/pkg/build/progress"
)

// contextPrefix begins buildah's name for the directory of the overlay that it mounts
// over a context (imagebuildah/build_linux.go).
const contextPrefix = "buildah-context-"

// contextOverlay is the overlay that buildah mounts over the context of a build, so
// that a step that may write to its view of it does not write to the user's files.
// buildah puts its upper directory where temporary files go, and the kernel writes
// back all of that disk when such an overlay is unmounted, which took 25 ms where others
// wrote a little. In a directory on a tmpfs there is nothing to
// write back. And buildah unmounts with fusermount3, which starts umount, unless it
// finds nothing that is mounted.
type contextOverlay struct {
	dir     string
	restore func()
}

// newContextOverlay prepares a directory for the overlay; it returns nil for a build
// whose overlay should be where buildah puts it: steps may write to it, or there are
// several.
func newContextOverlay(dir string, files []containerfile, opts *define.BuildOptions) *contextOverlay {
	var fs unix.Statfs_t
	if opts.AllPlatforms || len(opts.Platforms) > 1 || unix.Statfs(dir, &fs) != nil || fs.Type != unix.TMPFS_MAGIC {
		return nil
	}
	if len(files) == 0 || slices.ContainsFunc(opts.TransientRunMounts, mayWrite) {
		return nil
	}
	for _, file := range files {
		if file.root == nil {
			return nil
		}
		for _, node := range file.root.Children {
			// What comes with a base image is not known here.
			if strings.EqualFold(node.Value, command.Run) && slices.ContainsFunc(node.Flags, mayWrite) {
				return nil
			}
		}
	}
	return &contextOverlay{dir: dir}
}

// mayWrite says whether a step with this --mount may be given the context to write to.
func mayWrite(flag string) bool {
	return strings.Contains(flag, "rw") || strings.Contains(flag, "readwrite") || strings.Contains(flag, "$")
}

// around has buildah make the overlay in the directory. buildah asks the environment
// where temporary files go, and the store for its options when it has made the
// directory for the overlay; from then on the environment is the user's again, since
// caches of steps and all that is large go there, too. Between the two no
// program is started but cpp.
func (c *contextOverlay) around(s cstorage.Store) cstorage.Store {
	if c == nil {
		return s
	}
	c.restore = sync.OnceFunc(environ.Set("TMPDIR", c.dir))
	return announcing{Store: s, asked: c.restore}
}

// announcing is a store that tells when its options are asked for.
type announcing struct {
	cstorage.Store
	asked func()
}

// GraphOptions are the store's.
func (a announcing) GraphOptions() []string {
	a.asked()
	return a.Store.GraphOptions()
}

// listen takes the overlay away when buildah has nothing more to do than that. With
// --iidfile it does not say when.
func (c *contextOverlay) listen(o *progress.Options) {
	if c == nil {
		return
	}
	tell := o.Event
	o.Event = func(e *progress.Event) {
		if e.Kind == progress.Image {
			_ = dropContexts(c.dir) // buildah has its own way then
		}
		tell(e)
	}
}

// end is called when buildah has returned.
func (c *contextOverlay) end() {
	if c == nil {
		return
	}
	if c.restore != nil {
		c.restore()
	}
	_ = dropContexts(c.dir) // the next build sweeps
}

// dropContexts unmounts overlays of contexts in a directory and removes what they were
// made of.
func dropContexts(dir string) error {
	contexts, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("find overlays of contexts: %w", err)
	}
	var errs []error
	for _, entry := range contexts {
		if !strings.HasPrefix(entry.Name(), contextPrefix) {
			continue
		}
		made := filepath.Join(dir, entry.Name(), "overlay")
		overlays, err := os.ReadDir(made)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		for _, overlay := range overlays {
			merged := filepath.Join(made, overlay.Name(), "merge")
			if e := unix.Unmount(merged, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); e != nil && !errors.Is(e, unix.EINVAL) && !errors.Is(e, unix.ENOENT) {
				err = errors.Join(err, fmt.Errorf("unmount %s: %w", merged, e))
			}
		}
		if err == nil {
			err = os.RemoveAll(made)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

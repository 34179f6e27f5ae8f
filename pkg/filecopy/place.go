// Package filecopy says what is copied between the host and the roots of containers,
// and opens those roots. All paths of a container are resolved below its root, which
// is held open: a link in it leads nowhere else, whatever happens to the tree
// meanwhile. Copying itself is package transfer's; who has the roots opened, and locks
// their containers, is the caller.
package filecopy

import (
	"errors"
	"fmt"
	"io"
	"os"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// Path is one side of a copy: a file on the host or in a container.
type Path struct {
	// Container is a name or an id; empty means the host.
	Container string
	// Path as the user typed it: a slash at its end, or /., has meaning. On the
	// host "-" is a tar archive on a stream.
	Path string
}

// String is the path as the user typed it.
func (p Path) String() string {
	if p.Container == "" {
		return p.Path
	}
	return p.Container + ":" + p.Path
}

// Options say what is copied where.
type Options struct {
	From, To Path
	// Archive gives what is copied into a container to the container's user;
	// otherwise owners are kept.
	Archive bool
	// Overwrite lets files replace directories and the other way round.
	Overwrite bool
	// In and Out are the streams of "-".
	In  io.Reader
	Out io.Writer
}

// Check says what is wrong with the two paths before anything is opened.
func (o *Options) Check() error {
	if o.From.Container == "" && o.To.Container == "" {
		return fmt.Errorf("invalid arguments %q, %q: you must use (at least) one container: name it as CONTAINER:PATH", o.From, o.To)
	}
	if o.From.Path == "" || o.To.Path == "" {
		return fmt.Errorf("invalid arguments %q, %q: you must specify paths", o.From, o.To)
	}
	return nil
}

// Maps are the maps of a container's own user namespace, in ids of the
// namespace pod runs in; empty when it shares pod's.
type Maps struct{ UID, GID []rspec.LinuxIDMapping }

// Place is one side of a copy: the host, or the root of a container.
type Place struct {
	// Name is the container's; empty for the host.
	Name string
	// Root is an O_PATH handle of the container's root; nil on the host, where
	// paths mean what they mean to the user.
	Root *os.File
	// Cwd is where relative paths begin in the container.
	Cwd string
	// User looks the container's user up in the root at a path, in ids of the
	// container; it is asked for when a copy is given to him.
	User func(root string) (uid, gid uint32, err error)
	Maps Maps
	// Running containers have files that even pod may not read (terminals).
	Running bool

	release []func() error
}

// OnClose adds what undoes the opening of a place; the last added is done first.
func (p *Place) OnClose(undo ...func() error) { p.release = append(p.release, undo...) }

// Close undoes the opening.
func (p *Place) Close() error {
	var errs []error
	for i := len(p.release) - 1; i >= 0; i-- {
		errs = append(errs, p.release[i]())
	}
	return errors.Join(errs...)
}

// Outer translates an id of the container to pod's own namespace.
func Outer(maps []rspec.LinuxIDMapping, id uint32) (uint32, error) {
	if len(maps) == 0 {
		return id, nil
	}
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + id - m.ContainerID, nil
		}
	}
	return 0, fmt.Errorf("id %d is not mapped in the container's user namespace", id)
}

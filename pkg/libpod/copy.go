package libpod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/filecopy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Files moves and packs what is in places that are open. It is transfer.Files, which
// stands on libraries that most commands do not need.
type Files interface {
	// Copy copies between two open places, which stay open.
	Copy(opts filecopy.Options, from, to *filecopy.Place) error
	// Archive writes a whole root file system; owners are those of the place's container.
	Archive(root string, place *filecopy.Place, w io.Writer) error
	// Unpack unpacks an archive into a directory; what the archive does not have stays.
	Unpack(root string, r io.Reader) error
}

// Copy copies files and directories between containers and the host.
func (e *Engine) Copy(ctx context.Context, opts filecopy.Options) (err error) {
	if err := opts.Check(); err != nil {
		return err
	}
	from, to, err := e.openPlaces(ctx, opts.From.Container, opts.To.Container)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, from.Close())
		if to != from {
			err = errors.Join(err, to.Close())
		}
	}()
	return step.Do(ctx, "copy", func() error { return e.Files.Copy(opts, from, to) })
}

// openPlaces opens both sides of a copy; an empty name is the host. Two
// containers are opened in the order of their ids, so that two copies in opposite
// directions do not wait for each other's lock.
func (e *Engine) openPlaces(ctx context.Context, from, to string) (_, _ *filecopy.Place, err error) {
	names := [2]string{from, to}
	var found [2]*state.Container
	for i, name := range names {
		if name == "" {
			continue
		}
		if found[i], err = e.state.Lookup(ctx, name); err != nil {
			return nil, nil, err
		}
	}
	var open [2]*filecopy.Place
	order := []int{0, 1}
	if found[0] != nil && found[1] != nil && found[0].ID > found[1].ID {
		order = []int{1, 0}
	}
	for n, i := range order {
		switch other := 1 - i; {
		case found[i] == nil:
			open[i] = &filecopy.Place{}
		case n == 1 && found[other] != nil && found[other].ID == found[i].ID:
			open[i] = open[other]
		default:
			if open[i], err = e.openContainer(ctx, found[i]); err != nil {
				if open[1-i] != nil {
					err = errors.Join(err, open[1-i].Close())
				}
				return nil, nil, err
			}
		}
	}
	return open[0], open[1], nil
}

// openContainer opens the root of a container. One that runs is seen as its
// first process sees it, mounts included, without a lock; another is mounted,
// and stays locked until the copy is done.
func (e *Engine) openContainer(ctx context.Context, c *state.Container) (*filecopy.Place, error) {
	if isUp(e.status(c)) {
		return e.openRunning(ctx, c)
	}
	c, lock, err := e.lockContainer(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	switch status := e.status(c); {
	case isUp(status):
		e.unlock(lock)
		return e.openRunning(ctx, c)
	case status != StatusCreated && status != StatusExited:
		e.unlock(lock)
		return nil, improper("copy files of", c.ID, c.Name, status, "wait")
	}
	return e.openRested(ctx, c, lock)
}

func isUp(s Status) bool {
	switch s {
	case StatusRunning, StatusPaused, StatusStopping, StatusInitialized:
		return true
	}
	return false
}

func (e *Engine) newPlace(ctx context.Context, c *state.Container) (*filecopy.Place, error) {
	maps, err := e.mapsOf(ctx, c)
	if err != nil {
		return nil, err
	}
	p := &filecopy.Place{Name: c.Name, Cwd: c.Spec.Process.WorkDir, Maps: filecopy.Maps{UID: maps.uid, GID: maps.gid}}
	if p.Cwd == "" {
		p.Cwd = "/"
	}
	p.User = func(root string) (uid, gid uint32, err error) {
		who, err := resolveUser(root, c.Spec.Process.User, nil)
		return who.uid, who.gid, err
	}
	return p, nil
}

func hold(p *filecopy.Place, root *os.File) {
	p.Root = root
	p.OnClose(root.Close)
}

func (e *Engine) openRunning(ctx context.Context, c *state.Container) (*filecopy.Place, error) {
	p, err := e.newPlace(ctx, c)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(ctx, c.Run.Init)
	if err == nil {
		hold(p, root)
	}
	if !c.Run.Init.Alive() { // asked last: the pid may have become another's
		return nil, errors.Join(improper("copy files of", c.ID, c.Name, StatusExited, "it ended just now, try again"), p.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("open the root of container %s: %w", c.Name, err)
	}
	p.Running = true
	return p, nil
}

// openRested mounts a container that does not run, and its volumes and binds in
// a mount namespace of this process alone: paths lead into them as they would if
// it ran, and a kill leaves none of them behind. The lock is given back with the
// place, or with an error.
func (e *Engine) openRested(ctx context.Context, c *state.Container, lock *state.Lock) (_ *filecopy.Place, err error) {
	p, err := e.newPlace(ctx, c)
	if err != nil {
		e.unlock(lock)
		return nil, err
	}
	p.OnClose(func() error { e.unlock(lock); return nil })
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	root := e.rootfsOf(c)
	if root == "" {
		store, err := e.Storage()
		if err != nil {
			return nil, err
		}
		err = step.Do(ctx, "storage.mount", func() error { root, err = store.Mount(ctx, c.ID); return err })
		if err != nil {
			return nil, err
		}
		p.OnClose(func() error {
			return step.Do(ctx, "storage.unmount", func() error {
				_, err := store.Unmount(context.WithoutCancel(ctx), c.ID, false)
				return err
			})
		})
	}
	if usesVolumes(c) {
		p.OnClose(func() error { return e.releaseVolumes(context.WithoutCancel(ctx), c) })
	}
	binds, err := e.restBinds(ctx, c, root)
	if err != nil {
		return nil, err
	}
	f, leave, err := filecopy.OpenView(root, binds)
	if err != nil {
		return nil, fmt.Errorf("mount the volumes of container %s: %w", c.Name, err)
	}
	p.OnClose(leave)
	hold(p, f)
	return p, nil
}

// restBinds lists the mounts with content that is there without the container.
func (e *Engine) restBinds(ctx context.Context, c *state.Container, root string) ([]filecopy.Bind, error) {
	if len(c.Spec.Storage.Mounts) == 0 {
		return nil, nil
	}
	if _, err := e.prepareVolumes(ctx, c, root); err != nil {
		return nil, err
	}
	var binds []filecopy.Bind
	for _, m := range c.Spec.Storage.Mounts {
		if _, own := m.Split(); own.Overlay {
			continue // what is written there goes with the run
		}
		b := filecopy.Bind{Source: m.Source, SubPath: m.SubPath, Destination: filepath.Clean("/" + m.Destination), ReadOnly: m.ReadOnly()}
		switch m.Type {
		case "volume":
			b.Source = e.volumeDir(m.Source)
		case "bind":
		default:
			continue
		}
		binds = append(binds, b)
	}
	depth := func(b filecopy.Bind) int { return strings.Count(b.Destination, "/") }
	slices.SortStableFunc(binds, func(a, b filecopy.Bind) int { return depth(a) - depth(b) })
	return binds, nil
}

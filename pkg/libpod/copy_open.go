package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// openPlaces opens both sides of a copy; an empty name is the host. Two
// containers are opened in the order of their ids, so that two copies in opposite
// directions do not wait for each other's lock.
func (e *Engine) openPlaces(ctx context.Context, from, to string) (_, _ *place, err error) {
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
	var open [2]*place
	order := []int{0, 1}
	if found[0] != nil && found[1] != nil && found[0].ID > found[1].ID {
		order = []int{1, 0}
	}
	for n, i := range order {
		switch other := 1 - i; {
		case found[i] == nil:
			open[i] = &place{}
		case n == 1 && found[other] != nil && found[other].ID == found[i].ID:
			open[i] = open[other]
		default:
			if open[i], err = e.openContainer(ctx, found[i]); err != nil {
				if open[1-i] != nil {
					err = errors.Join(err, open[1-i].close())
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
func (e *Engine) openContainer(ctx context.Context, c *state.Container) (*place, error) {
	if isUp(e.status(c)) {
		return e.openRunning(c)
	}
	c, lock, err := e.lockContainer(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	switch status := e.status(c); {
	case isUp(status):
		e.unlock(lock)
		return e.openRunning(c)
	case status != StatusCreated && status != StatusExited:
		e.unlock(lock)
		return nil, improper("copy files of", c.ID, c.Name, status, "wait")
	}
	p, err := e.openRested(ctx, c)
	if err != nil {
		e.unlock(lock)
		return nil, err
	}
	p.release = slices.Insert(p.release, 0, func() error { e.unlock(lock); return nil })
	return p, nil
}

func isUp(s Status) bool {
	switch s {
	case StatusRunning, StatusPaused, StatusStopping, StatusInitialized:
		return true
	}
	return false
}

func (e *Engine) newPlace(c *state.Container) (*place, error) {
	maps, err := e.userMaps(&c.Spec)
	if err != nil {
		return nil, err
	}
	p := &place{name: c.Name, cwd: c.Spec.Process.WorkDir, account: c.Spec.Process.User, maps: maps}
	if p.cwd == "" {
		p.cwd = "/"
	}
	return p, nil
}

func (p *place) hold(root *os.File) {
	p.root = root
	p.release = append(p.release, root.Close)
}

func (e *Engine) openRunning(c *state.Container) (*place, error) {
	p, err := e.newPlace(c)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/root", c.Run.Init.PID), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		p.hold(os.NewFile(uintptr(fd), "/"))
	}
	if !c.Run.Init.Alive() { // asked last: the pid may have become another's
		return nil, errors.Join(improper("copy files of", c.ID, c.Name, StatusExited, "it ended just now, try again"), p.close())
	}
	if err != nil {
		return nil, fmt.Errorf("open the root of container %s: %w", c.Name, err)
	}
	p.running = true
	return p, nil
}

// openRested mounts a container that does not run, and its volumes and binds in
// a mount namespace of this process alone: paths lead into them as they would if
// it ran, and a kill leaves none of them behind.
func (e *Engine) openRested(ctx context.Context, c *state.Container) (_ *place, err error) {
	p, err := e.newPlace(c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	root := c.Spec.Rootfs
	if root == "" {
		store, err := e.Storage()
		if err != nil {
			return nil, err
		}
		if root, err = store.Mount(ctx, c.ID); err != nil {
			return nil, err
		}
		p.release = append(p.release, func() error {
			_, err := store.Unmount(context.WithoutCancel(ctx), c.ID, false)
			return err
		})
	}
	binds, err := e.restBinds(ctx, c, root)
	if err != nil {
		return nil, err
	}
	f, leave, err := openView(root, binds)
	if err != nil {
		return nil, fmt.Errorf("mount the volumes of container %s: %w", c.Name, err)
	}
	p.release = append(p.release, leave)
	p.hold(f)
	return p, nil
}

// bind is a mount of a container at rest.
type bind struct {
	source, subPath, destination string
	readOnly                     bool
}

// restBinds lists the mounts with content that is there without the container.
func (e *Engine) restBinds(ctx context.Context, c *state.Container, root string) ([]bind, error) {
	if len(c.Spec.Storage.Mounts) == 0 {
		return nil, nil
	}
	if err := e.prepareVolumes(ctx, c, root); err != nil {
		return nil, err
	}
	var binds []bind
	for _, m := range c.Spec.Storage.Mounts {
		b := bind{source: m.Source, subPath: m.SubPath, destination: filepath.Clean("/" + m.Destination), readOnly: m.ReadOnly()}
		switch m.Type {
		case "volume":
			b.source = e.volumeDir(m.Source)
		case "bind":
		default:
			continue
		}
		binds = append(binds, b)
	}
	depth := func(b bind) int { return strings.Count(b.destination, "/") }
	slices.SortStableFunc(binds, func(a, b bind) int { return depth(a) - depth(b) })
	return binds, nil
}

// openView returns a handle of root with binds mounted in it. The mounts are in
// a mount namespace that ends with leave, or with the process.
func openView(root string, binds []bind) (_ *os.File, leave func() error, err error) {
	if len(binds) == 0 {
		f, err := openDir(root)
		return f, func() error { return nil }, err
	}
	type view struct {
		root *os.File
		err  error
	}
	made, left, ended := make(chan view), make(chan struct{}), make(chan struct{})
	go onOwnThread(func() {
		defer close(ended)
		f, err := mountView(root, binds)
		made <- view{f, err}
		<-left
	})
	v := <-made
	leave = func() error { close(left); <-ended; return nil }
	if v.err != nil {
		_ = leave()
		return nil, nil, v.err
	}
	return v.root, leave, nil
}

// onOwnThread runs work on a thread that ends with it. It is not the first one:
// that is the process to others, and its mounts are what /proc/self shows.
func onOwnThread(work func()) {
	runtime.LockOSThread()
	if unix.Gettid() != os.Getpid() {
		work() // still locked at its return: the thread ends
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); onOwnThread(work) }()
	<-done
	runtime.UnlockOSThread()
}

func openDir(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// mountView makes the mounts, in a mount namespace of the calling thread.
func mountView(root string, binds []bind) (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w", err)
	}
	f, err := openDir(root)
	if err != nil {
		return nil, err
	}
	for _, b := range binds {
		if err := b.mount(f); err != nil {
			return nil, errors.Join(fmt.Errorf("mount %s at %s: %w", b.source, b.destination, err), f.Close())
		}
	}
	return f, nil
}

func (b *bind) mount(root *os.File) error {
	source := b.source
	if b.subPath != "" {
		sub, err := pathrs.OpenInRoot(b.source, b.subPath)
		if err != nil {
			return err
		}
		defer sub.Close()
		source = threadPath(sub)
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	at, err := mountPoint(root, b.destination, info.IsDir())
	if err != nil {
		return err
	}
	defer at.Close()
	if err := unix.Mount(source, threadPath(at), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if !b.readOnly {
		return nil
	}
	top, err := pathrs.OpenatInRoot(root, b.destination)
	if err != nil {
		return err
	}
	defer top.Close()
	return unix.MountSetattr(int(top.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

func threadPath(f *os.File) string { return fmt.Sprintf("/proc/thread-self/fd/%d", f.Fd()) }

// mountPoint opens the place of a mount in root, and makes it if need be, as the
// runtime does at the first start.
func mountPoint(root *os.File, path string, dir bool) (*os.File, error) {
	if at, err := pathrs.OpenatInRoot(root, path); err == nil || !errors.Is(err, unix.ENOENT) {
		return at, err
	}
	if dir {
		return pathrs.MkdirAllHandle(root, path, 0o755)
	}
	parent, err := pathrs.MkdirAllHandle(root, filepath.Dir(path), 0o755)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	fd, err := unix.Openat(int(parent.Fd()), filepath.Base(path), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

package filecopy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	"golang.org/x/sys/unix"
)

// Bind is a mount of a container at rest.
type Bind struct {
	Source, SubPath, Destination string
	ReadOnly                     bool
}

// OpenView returns a handle of root with binds mounted in it. The mounts are in
// a mount namespace that ends with leave, or with the process.
func OpenView(root string, binds []Bind) (_ *os.File, leave func() error, err error) {
	if len(binds) == 0 {
		f, err := OpenDir(root)
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

// OpenDir returns an O_PATH handle of a directory.
func OpenDir(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// mountView makes the mounts, in a mount namespace of the calling thread.
func mountView(root string, binds []Bind) (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("make a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w", err)
	}
	f, err := OpenDir(root)
	if err != nil {
		return nil, err
	}
	for _, b := range binds {
		if err := b.mount(f); err != nil {
			return nil, errors.Join(fmt.Errorf("mount %s at %s: %w", b.Source, b.Destination, err), f.Close())
		}
	}
	return f, nil
}

func (b *Bind) mount(root *os.File) error {
	source := b.Source
	if b.SubPath != "" {
		sub, err := pathrs.OpenInRoot(b.Source, b.SubPath)
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
	at, err := mountPoint(root, b.Destination, info.IsDir())
	if err != nil {
		return err
	}
	defer at.Close()
	if err := unix.Mount(source, threadPath(at), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if !b.ReadOnly {
		return nil
	}
	top, err := pathrs.OpenatInRoot(root, b.Destination)
	if err != nil {
		return err
	}
	defer top.Close()
	return unix.MountSetattr(int(top.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

func threadPath(f *os.File) string { return fmt.Sprintf("/proc/thread-self/fd/%d", f.Fd()) }

// mountPoint opens the place of a mount in root, and makes it if need be, as the
// runtime does at the first start: for a file behind a link to nothing, where
// that link leads in root (/dev/ptmx -> pts/ptmx, with a volume at /dev/pts).
func mountPoint(root *os.File, path string, dir bool) (*os.File, error) {
	for range MaxLinks {
		if at, err := pathrs.OpenatInRoot(root, path); err == nil || !errors.Is(err, unix.ENOENT) {
			return at, err
		}
		if dir {
			return pathrs.MkdirAllHandle(root, path, 0o755)
		}
		at, link, err := makeFile(root, path)
		if err != nil || link == "" {
			return at, err
		}
		if !filepath.IsAbs(link) {
			parent, _ := filepath.Split(path) // not cleaned: .. is of where links lead
			link = parent + link
		}
		path = link
	}
	return nil, unix.ELOOP
}

// makeFile makes an empty file in root, and the directories above it. Where a
// link stands in its place, that is not followed: its text is returned.
func makeFile(root *os.File, path string) (_ *os.File, link string, err error) {
	dir, name := filepath.Split(path)
	parent, err := pathrs.MkdirAllHandle(root, dir, 0o755)
	if err != nil {
		return nil, "", err
	}
	defer parent.Close()
	fd, err := unix.Openat(int(parent.Fd()), name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if errors.Is(err, unix.EEXIST) {
		link, err = ReadlinkAt(parent, name)
		return nil, link, err
	}
	if err != nil {
		return nil, "", err
	}
	return os.NewFile(uintptr(fd), path), "", nil
}

// MaxLinks is how many links at the end of a path are followed, as in the kernel.
const MaxLinks = 40

// ReadlinkAt is the text of a link in dir.
func ReadlinkAt(dir *os.File, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

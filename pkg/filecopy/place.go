package filecopy

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// IDs are a user and a group, in numbers of the namespace pod works in.
type IDs struct{ UID, GID int }

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

func (p *Place) isHost() bool { return p.Name == "" }

func (p *Place) where() string {
	if p.isHost() {
		return "on the host"
	}
	return "on container " + p.Name
}

// Close undoes the opening.
func (p *Place) Close() error {
	var errs []error
	for i := len(p.release) - 1; i >= 0; i-- {
		errs = append(errs, p.release[i]())
	}
	return errors.Join(errs...)
}

// owner is who owns what is given to the container's user.
func (p *Place) owner() (IDs, error) {
	innerUID, innerGID, err := p.User(fdPath(p.Root))
	if err != nil {
		return IDs{}, err
	}
	uid, err := Outer(p.Maps.UID, innerUID)
	if err != nil {
		return IDs{}, err
	}
	gid, err := Outer(p.Maps.GID, innerGID)
	return IDs{int(uid), int(gid)}, err
}

// fdPath is a path of what a handle of this process refers to, good for its
// children too.
func fdPath(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// open returns an O_PATH handle, links followed: below the root in a container.
func (p *Place) open(path string) (*os.File, error) {
	if p.Root == nil {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), path), nil
	}
	if !strings.HasPrefix(path, "/") {
		path = p.Cwd + "/" + path
	}
	return pathrs.OpenatInRoot(p.Root, path)
}

// source is a file or directory to copy.
type source struct {
	path string // as typed
	file *os.File
	st   unix.Stat_t
	// name is what it is called in a directory that it is copied into.
	name string
	// contents: not the directory but what is in it (a path that ends in /.).
	contents bool
}

func (s *source) isDir() bool { return s.st.Mode&unix.S_IFMT == unix.S_IFDIR }

// source resolves a path to copy from. A link there is followed.
func (p *Place) source(path string) (*source, error) {
	f, err := p.open(path)
	if err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) && !strings.HasSuffix(path, "/") {
			return nil, fmt.Errorf("%q could not be found %s: %w", path, p.where(), unix.ENOENT)
		}
		return nil, fmt.Errorf("%q %s: %w", path, p.where(), cause(err))
	}
	s := &source{path: path, file: f, name: filepath.Base(path)}
	if err := unix.Fstat(int(f.Fd()), &s.st); err != nil {
		return nil, errors.Join(fmt.Errorf("stat %s: %w", path, err), f.Close())
	}
	if !s.isDir() {
		if _, slash := trimSlash(path); slash {
			return nil, errors.Join(fmt.Errorf("%q %s: %w", path, p.where(), unix.ENOTDIR), f.Close())
		}
		return s, nil
	}
	s.contents = path == "." || strings.HasSuffix(path, "/.")
	if s.name == ".." {
		real, err := os.Readlink(fdPath(f))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		s.name = filepath.Base(real)
	}
	if s.name == "/" || sameFile(p.Root, f) {
		s.contents = true
	}
	return s, nil
}

// open opens a regular file to read.
func (s *source) open() (*os.File, error) {
	if kind := s.st.Mode & unix.S_IFMT; kind != unix.S_IFREG {
		return nil, fmt.Errorf("%q is a %s: only files and directories can be copied", s.path, kindName(kind))
	}
	f, err := pathrs.Reopen(s.file, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", s.path, cause(err))
	}
	return f, nil
}

func kindName(kind uint32) string {
	switch kind {
	case unix.S_IFIFO:
		return "FIFO"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "device"
	}
	return "special file"
}

// header is an archive entry with the owner, as the place numbers it, mode and
// time of a source.
func (p *Place) header(s *source) *tar.Header {
	return &tar.Header{
		Mode: int64(s.st.Mode & 0o7777), ModTime: time.Unix(s.st.Mtim.Unix()),
		Uid: inner(p.Maps.UID, s.st.Uid), Gid: inner(p.Maps.GID, s.st.Gid), Format: tar.FormatPAX,
	}
}

// inner translates an id of pod's namespace to the container's.
func inner(maps []rspec.LinuxIDMapping, id uint32) int {
	for _, m := range maps {
		if id >= m.HostID && id-m.HostID < m.Size {
			return int(m.ContainerID + id - m.HostID)
		}
	}
	return int(id)
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

// target is a place to copy to: a directory that is there, or a name, free or
// taken, in one.
type target struct {
	path   string
	dir    *os.File // the directory; nil unless there is one
	parent *os.File
	leaf   string
	exists bool
	st     unix.Stat_t // of what exists at leaf
	slash  bool        // the path ends in a slash: a directory is meant
}

func (t *target) isDir() bool { return t.dir != nil }

func (t *target) close() {
	for _, f := range []*os.File{t.dir, t.parent} {
		if f != nil {
			f.Close()
		}
	}
}

// look says what stands at the name.
func (t *target) look() error {
	err := unix.Fstatat(int(t.parent.Fd()), t.leaf, &t.st, unix.AT_SYMLINK_NOFOLLOW)
	t.exists = err == nil
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("stat %s: %w", t.path, err)
	}
	return nil
}

// maxLinks is how many links at the end of a path are followed, as in the kernel.
const maxLinks = 40

// target resolves a path to copy to. Links are followed: those on the way by the
// kernel, the last one here, since what it names may not exist yet.
func (p *Place) target(typed string) (*target, error) {
	path, slash := trimSlash(typed)
	for range maxLinks {
		f, err := p.open(path)
		if err == nil {
			var st unix.Stat_t
			if err := unix.Fstat(int(f.Fd()), &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
				return &target{path: typed, dir: f, slash: slash}, nil
			}
			f.Close()
		}
		dir, leaf := filepath.Split(path)
		if leaf == "" || leaf == "." || leaf == ".." {
			return nil, fmt.Errorf("%q could not be found %s: %w", typed, p.where(), unix.ENOENT)
		}
		if dir == "" {
			dir = "."
		}
		t := &target{path: typed, leaf: leaf, slash: slash}
		if t.parent, err = p.open(dir); err != nil {
			if errors.Is(err, unix.ENOENT) {
				return nil, fmt.Errorf("%q could not be found %s: its directory does not exist: %w", typed, p.where(), unix.ENOENT)
			}
			return nil, fmt.Errorf("%q %s: %w", typed, p.where(), cause(err))
		}
		if err := t.look(); err != nil {
			t.close()
			return nil, err
		}
		if !t.exists || t.st.Mode&unix.S_IFMT != unix.S_IFLNK {
			return t, nil
		}
		link, err := readlinkAt(t.parent, leaf)
		t.close()
		if err != nil {
			return nil, fmt.Errorf("read link %s: %w", typed, err)
		}
		path, _ = trimSlash(link)
		if !strings.HasPrefix(path, "/") {
			path = strings.TrimRight(dir, "/") + "/" + path
		}
	}
	return nil, fmt.Errorf("%q %s: %w", typed, p.where(), unix.ELOOP)
}

func readlinkAt(dir *os.File, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// trimSlash takes slashes, and /., from the end of a path.
func trimSlash(path string) (trimmed string, slash bool) {
	trimmed = path
	for {
		next := strings.TrimSuffix(strings.TrimRight(trimmed, "/"), "/.")
		if next == trimmed {
			break
		}
		trimmed, slash = next, true
	}
	if trimmed == "" {
		return "/", true
	}
	return trimmed, slash
}

// cause is the error of the kernel within err.
func cause(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// sameFile says whether two handles are of one file.
func sameFile(a, b *os.File) bool {
	var x, y unix.Stat_t
	return a != nil && b != nil && unix.Fstat(int(a.Fd()), &x) == nil && unix.Fstat(int(b.Fd()), &y) == nil &&
		x.Dev == y.Dev && x.Ino == y.Ino
}

// below says whether directory dir is top or lies below it.
func below(dir, top *os.File) (bool, error) {
	fd, err := unix.Dup(int(dir.Fd()))
	if err != nil {
		return false, err
	}
	at := os.NewFile(uintptr(fd), "")
	defer func() { at.Close() }()
	for {
		if sameFile(at, top) {
			return true, nil
		}
		fd, err := unix.Openat(int(at.Fd()), "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return false, fmt.Errorf("look for the root: %w", err)
		}
		up := os.NewFile(uintptr(fd), "")
		if sameFile(at, up) {
			up.Close()
			return false, nil
		}
		at.Close()
		at = up
	}
}

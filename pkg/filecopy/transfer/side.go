package transfer

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

	"github.com/rootless-pod/pod/pkg/filecopy"
)

// ids are a user and a group, in numbers of the namespace pod works in.
type ids struct{ UID, GID int }

// side is one side of a copy, whose paths are resolved as they are there.
type side struct{ *filecopy.Place }

func (p side) isHost() bool { return p.Name == "" }

func (p side) where() string {
	if p.isHost() {
		return "on the host"
	}
	return "on container " + p.Name
}

// owner is who owns what is given to the container's user.
func (p side) owner() (ids, error) {
	innerUID, innerGID, err := p.User(fdPath(p.Root))
	if err != nil {
		return ids{}, err
	}
	uid, err := filecopy.Outer(p.Maps.UID, innerUID)
	if err != nil {
		return ids{}, err
	}
	gid, err := filecopy.Outer(p.Maps.GID, innerGID)
	return ids{int(uid), int(gid)}, err
}

// fdPath is a path of what a handle of this process refers to, good for its
// children too.
func fdPath(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// open returns an O_PATH handle, links followed: below the root in a container.
func (p side) open(path string) (*os.File, error) {
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
func (p side) source(path string) (*source, error) {
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
func (p side) header(s *source) *tar.Header {
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

// target resolves a path to copy to. Links are followed: those on the way by the
// kernel, the last one here, since what it names may not exist yet.
func (p side) target(typed string) (*target, error) {
	path, slash := trimSlash(typed)
	for range filecopy.MaxLinks {
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
		link, err := filecopy.ReadlinkAt(t.parent, leaf)
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

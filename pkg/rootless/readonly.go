package rootless

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/script"
)

// ReadOnly returns a path by which the program at path is on a read-only mount, or path
// itself where there can be none. crun, lest a container writes into it through /proc
// (CVE-2019-5736), executes a read-only view of itself at each start, unless it finds that
// it is on one: half of what a call costs. The mount is made once and is only in the
// namespace that the pause process keeps, so it goes with that. Its name has the file's
// identity: an upgraded program gets another, and nothing is changed under a process that
// is about to execute the old one.
func (s *Session) ReadOnly(path string) string {
	if !s.Inside {
		return path // the host's namespace is not ours
	}
	var want syscall.Stat_t
	if syscall.Stat(path, &want) != nil {
		return path
	}
	at := filepath.Join(podDir(s.RunBase), "ro", fmt.Sprintf("%d-%d-%d", want.Dev, want.Ino, want.Mtim.Nano()), filepath.Base(path))
	if isView(at, &want) || bindReadOnly(path, at) == nil && isView(at, &want) {
		return at
	}
	return path
}

// isView says whether the file is there, and cannot be written.
func isView(at string, file *syscall.Stat_t) bool {
	var is syscall.Stat_t
	var fs unix.Statfs_t
	return syscall.Stat(at, &is) == nil && is.Dev == file.Dev && is.Ino == file.Ino &&
		unix.Statfs(at, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0
}

// bindReadOnly binds a file at a path of its own. Two that do it at once make two mounts
// of the same, one over the other.
func bindReadOnly(path, at string) error {
	if is, err := script.Is(path); err != nil || is {
		return errors.Join(err, errors.ErrUnsupported)
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(at, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

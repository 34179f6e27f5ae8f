// Package heldir makes directories that belong to a living process: it holds a
// lock on each, so that whoever comes next knows those that a kill has left, and
// can undo what was begun in them.
package heldir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is a directory of this process.
type Dir struct{ lock *os.File }

// New makes a directory in base whose name begins with prefix.
func New(base, prefix string) (*Dir, error) {
	for range 10 {
		dir, err := os.MkdirTemp(base, prefix)
		if err != nil {
			return nil, err
		}
		lock, err := lockDir(dir)
		if err == nil {
			return &Dir{lock: lock}, nil
		}
		// Another process took it for one that was left.
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), os.RemoveAll(dir))
		}
	}
	return nil, fmt.Errorf("make a directory in %s: others remove it", base)
}

// Path is where it is.
func (d *Dir) Path() string { return d.lock.Name() }

// Close removes the directory.
func (d *Dir) Close() error {
	return errors.Join(os.RemoveAll(d.Path()), d.lock.Close())
}

// Sweep removes the directories of dead processes in base, after undo, which may be
// nil, has undone what was begun in them; one for which it fails stays. base may be
// shared with other users: only one's own are touched.
func Sweep(base, prefix string, undo func(dir string) error) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), prefix) || !own(entry) {
			continue
		}
		dir := filepath.Join(base, entry.Name())
		lock, err := lockDir(dir)
		if err != nil {
			continue
		}
		if undo == nil || undo(dir) == nil {
			remove(dir)
		}
		_ = lock.Close()
	}
}

// patience is how long remove waits for a process of the dead one's to come to its end.
const patience = 2 * time.Second

// remove removes a directory. What unpacks into it may have outlived the process that it
// worked for, until it has read what is left in its pipe: it makes files meanwhile.
func remove(dir string) {
	for begin := time.Now(); ; {
		err := os.RemoveAll(dir)
		if !errors.Is(err, unix.ENOTEMPTY) || time.Since(begin) > patience {
			return
		}
	}
}

// own says whether the directory is this user's.
func own(entry os.DirEntry) bool {
	info, err := entry.Info()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// lockDir opens a directory and locks it, if it is still there then.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_, err = os.Lstat(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

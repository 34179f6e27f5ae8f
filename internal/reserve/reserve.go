// Package reserve holds a little of a store's disk back for the day it is full:
// neither SQLite nor containers/storage can remove anything without writing. The
// reserve is a directory of files, since a disk runs out of inodes too.
package reserve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// files are inodes held back: a removal makes a lock, a journal, temporary
	// lists and their renamed forms.
	files = 16
	// fileSize makes the whole 4 MiB: enough for SQLite's shared memory and a
	// checkpoint, and for the lists of a store with some thousand layers.
	fileSize = 256 << 10
	// plenty files must fit for the reserve to be made, and scant for a part of it
	// to be taken back: less, and nothing else could write.
	plenty, scant = 4 * files, 2
)

func dir(graphRoot string) string { return filepath.Join(graphRoot, "pod", "reserve") }

func file(graphRoot string, n int) string {
	return filepath.Join(dir(graphRoot), strconv.Itoa(n))
}

// Last is the path of the file that is there when the whole reserve is.
func Last(graphRoot string) string { return file(graphRoot, files-1) }

// Ensure makes the reserve of a graph root if it is missing and there is plenty
// of room. It costs one stat where the reserve is there.
func Ensure(graphRoot string) error {
	if st, err := os.Lstat(Last(graphRoot)); err == nil && st.Size() == fileSize {
		return nil
	}
	if roomy, err := fits(graphRoot, plenty); err != nil || !roomy {
		return err
	}
	if err := fill(graphRoot, 0); err != nil {
		return fmt.Errorf("make the disk reserve: %w", errors.Join(err, os.RemoveAll(dir(graphRoot))))
	}
	return nil
}

// fits says whether the disk has blocks and inodes for that many files.
func fits(graphRoot string, n uint64) (bool, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(graphRoot, &fs); err != nil {
		return false, fmt.Errorf("statfs %s: %w", graphRoot, err)
	}
	blocks := fs.Bavail * uint64(fs.Bsize) //nolint:gosec // a block size is positive
	// Some file systems, such as btrfs, have no number of inodes.
	return blocks >= n*fileSize && (fs.Files == 0 || fs.Ffree >= n), nil
}

// fill makes the files, the last one last: its presence says that all are there.
// It stops where less would be left than leave asks for.
func fill(graphRoot string, leave uint64) error {
	if st, err := os.Lstat(dir(graphRoot)); err == nil && !st.IsDir() {
		if err := os.Remove(dir(graphRoot)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir(graphRoot), 0o700); err != nil {
		return err
	}
	for n := range files {
		if ok, err := fits(graphRoot, leave); err != nil || !ok {
			return err
		}
		if err := allocate(file(graphRoot, n)); err != nil {
			return err
		}
	}
	return nil
}

// allocate makes a file whose blocks are its own, not a hole.
func allocate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, fileSize)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.WriteAt(make([]byte, fileSize), 0)
	}
	return errors.Join(err, f.Close())
}

// Lend frees the reserve if there is one and less room than it holds is left, and
// says whether it did. Whoever removes something asks for it first: after a list
// could not be written, containers/storage has forgotten what it did not delete.
func Lend(graphRoot string) bool {
	if ok, err := fits(graphRoot, files); err != nil || ok {
		return false
	}
	return Size(graphRoot) > 0 && Free(graphRoot) == nil
}

// Scarce says that the disk is full, or would be with the reserve that may just be
// lent to a clean-up.
func Scarce(graphRoot string) bool {
	roomy, err := fits(graphRoot, 2*files)
	return err == nil && !roomy
}

// Free gives the reserve back to the disk. It needs neither the state nor the
// store to be open.
func Free(graphRoot string) error {
	if err := os.RemoveAll(dir(graphRoot)); err != nil {
		return fmt.Errorf("free the disk reserve: %w", err)
	}
	return nil
}

// Retake takes back what Free gave, as far as there is room: whatever filled the
// disk must not get the reserve of the next removal. A part is worth having.
func Retake(graphRoot string) error {
	if err := fill(graphRoot, scant+1); err != nil {
		return fmt.Errorf("take the disk reserve back: %w", err)
	}
	return nil
}

// Size is what the reserve of a graph root takes of the disk.
func Size(graphRoot string) int64 {
	entries, err := os.ReadDir(dir(graphRoot))
	if err != nil {
		return 0
	}
	return int64(len(entries)) * fileSize
}

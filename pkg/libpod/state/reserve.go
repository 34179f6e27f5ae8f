package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// reserveSize is enough for the transactions of a removal: SQLite's shared
// memory and a checkpoint, and the JSON files of containers/storage.
const reserveSize = 1 << 20

// reservePath is the file that holds blocks of a disk that may become full.
func reservePath(graphRoot string) string { return filepath.Join(graphRoot, "pod", "reserve") }

// FreeReserve gives the reserve of a graph root back to the disk. It works
// where the state itself cannot be opened because the disk is full.
func FreeReserve(graphRoot string) error {
	if err := os.Remove(reservePath(graphRoot)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("free the disk reserve: %w", err)
	}
	return nil
}

// FreeReserve gives the reserve back to the disk, for a removal to succeed. The
// Store does not make it again unless EnsureReserve is called.
func (s *Store) FreeReserve() error {
	s.reserveSeen.Store(true)
	return FreeReserve(filepath.Dir(s.dir))
}

// EnsureReserve makes the reserve if it is missing and there is room: eight
// times its size, or it would take what was just freed.
func (s *Store) EnsureReserve() error {
	s.reserveSeen.Store(true)
	path := reservePath(filepath.Dir(s.dir))
	if st, err := os.Stat(path); err == nil && st.Size() == reserveSize {
		return nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return fmt.Errorf("statfs %s: %w", s.dir, err)
	}
	if fs.Bavail*uint64(fs.Bsize) < 8*reserveSize { //nolint:gosec // a block size is positive
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("make the disk reserve: %w", err)
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, reserveSize)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.WriteAt(make([]byte, reserveSize), 0)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("make the disk reserve: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// lookAfterReserve makes the reserve at the first durable addition of a Store.
// It is a precaution: that it cannot be made is no reason to refuse the work.
func (s *Store) lookAfterReserve() {
	if !s.reserveSeen.Load() {
		_ = s.EnsureReserve()
	}
}

package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
)

// Lock is held until Unlock, or until the process ends.
type Lock struct {
	file *os.File
	path string
}

// Lock waits for the lock of an object and takes it. Several goroutines of a
// process exclude each other too.
func (s *Store) Lock(ctx context.Context, id string) (*Lock, error) {
	for {
		l, err := s.openLock(id)
		if err != nil {
			return nil, err
		}
		if err := l.wait(ctx); err != nil {
			return nil, fmt.Errorf("lock %s: %w", id, err)
		}
		if same, err := l.current(); err != nil || same {
			return l, err
		}
	}
}

// TryLock takes the lock of an object if nobody has it.
func (s *Store) TryLock(id string) (*Lock, bool, error) {
	for {
		l, err := s.openLock(id)
		if err != nil {
			return nil, false, err
		}
		err = flock.Lock(l.file, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, false, l.file.Close()
		}
		if err != nil {
			return nil, false, fmt.Errorf("lock %s: %w", id, errors.Join(err, l.file.Close()))
		}
		if same, err := l.current(); err != nil || same {
			return l, err == nil, err
		}
	}
}

// LockNames lists the locks that have a file, held or not.
func (s *Store) LockNames() ([]string, error) {
	entries, err := os.ReadDir(s.locks)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, nil
}

// Unlock gives the lock back.
func (l *Lock) Unlock() error {
	// Closing alone would leave it to a child that is forked and has not
	// reached its exec yet.
	if err := errors.Join(flock.Lock(l.file, unix.LOCK_UN), l.file.Close()); err != nil {
		return fmt.Errorf("unlock %s: %w", l.path, err)
	}
	return nil
}

// RemoveLock deletes the file of a lock that is held and gives the lock back:
// the object is gone. Who waits for it sees that and makes a new one.
func (s *Store) RemoveLock(l *Lock) error {
	err := os.Remove(l.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.Unlock())
}

// openLock opens the file of an object's lock, close-on-exec as all of Go's
// files: conmon must not inherit it.
func (s *Store) openLock(id string) (*Lock, error) {
	if id == "" || id[0] == '.' || strings.ContainsRune(id, '/') {
		return nil, fmt.Errorf("lock %q: not the name of an object", id)
	}
	path := filepath.Join(s.locks, id)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(s.locks, 0o700); err != nil {
			return nil, fmt.Errorf("lock %s: %w", id, err)
		}
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", id, err)
	}
	return &Lock{file: f, path: path}, nil
}

// wait takes the lock; on an error the file is closed.
func (l *Lock) wait(ctx context.Context) error {
	err := flock.Lock(l.file, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return errors.Join(err, l.file.Close())
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(err, l.file.Close())
	}
	// A thread blocks in the kernel: no polling, and the queue is fair. It
	// cannot be called back; after a cancel it gives the lock up at once when
	// it gets it.
	done := make(chan error, 1)
	go func() { done <- flock.Lock(l.file, unix.LOCK_EX) }()
	select {
	case err := <-done:
		if err != nil {
			return errors.Join(err, l.file.Close())
		}
		return nil
	case <-ctx.Done():
		go func() {
			<-done
			_ = l.file.Close()
		}()
		return ctx.Err()
	}
}

// current reports whether the locked file is still the one at its path; its
// holder may have removed it. If it is not, or on an error, it is closed.
func (l *Lock) current() (bool, error) {
	var held, there unix.Stat_t
	if err := unix.Fstat(int(l.file.Fd()), &held); err != nil {
		return false, fmt.Errorf("lock %s: %w", l.path, errors.Join(err, l.file.Close()))
	}
	err := unix.Stat(l.path, &there)
	if err == nil && held.Dev == there.Dev && held.Ino == there.Ino {
		return true, nil
	}
	if closeErr := l.file.Close(); err == nil || errors.Is(err, unix.ENOENT) {
		return false, closeErr
	}
	return false, fmt.Errorf("lock %s: %w", l.path, err)
}

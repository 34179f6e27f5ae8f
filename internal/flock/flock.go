// Package flock takes locks on files, flock(2): they end with the process, and are
// nobody's who does not open the file himself.
package flock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Lock is flock(2) on an open file, again when a signal came.
func Lock(f *os.File, how int) error { return lock(int(f.Fd()), how) } //nolint:gosec // a descriptor

func lock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Wait makes the file if it must, and has it locked for this process alone when it
// returns, or ctx ends. Without anybody to wait for it costs two system calls.
func Wait(ctx context.Context, path string) (unlock func(), err error) {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	err = lock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		done := make(chan error, 1)
		go func() { done <- lock(fd, unix.LOCK_EX) }() // a thread waits in the kernel; the context must still win
		select {
		case err = <-done:
		case <-ctx.Done():
			// The wait in the kernel cannot be called back: what it gets is given back.
			go func() { <-done; _ = unix.Close(fd) }()
			return nil, fmt.Errorf("lock %s: %w", path, ctx.Err())
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), unix.Close(fd))
	}
	return func() { _ = unix.Close(fd) }, nil
}

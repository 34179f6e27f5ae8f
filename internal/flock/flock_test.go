package flock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Wait(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Lock(f, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("it is not locked: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Wait(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("the context does not win: %v", err)
	}
	second := make(chan error, 1)
	go func() {
		again, err := Wait(t.Context(), path)
		if err == nil {
			again()
		}
		second <- err
	}()
	unlock()
	if err := <-second; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestWaitFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("elsewhere", filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if _, err := Wait(t.Context(), filepath.Join(dir, "lock")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("%v", err)
	}
}

package state

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func TestLockExcludes(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	l, err := s.Lock(t.Context(), "x")
	must(t, err)
	if _, ok, err := s.TryLock("x"); ok || err != nil {
		t.Errorf("TryLock of a held lock: %v, %v", ok, err)
	}
	other, ok, err := s.TryLock("y")
	if !ok || err != nil {
		t.Fatalf("TryLock of another: %v, %v", ok, err)
	}
	must(t, other.Unlock())

	// Who gives up does not keep the lock when it comes to it later.
	ctx, cancel := context.WithCancel(t.Context())
	refused := make(chan error, 1)
	go func() {
		_, err := s.Lock(ctx, "x")
		refused <- err
	}()
	cancel()
	if err := <-refused; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Lock: %v", err)
	}
	must(t, l.Unlock())
	l, err = s.Lock(t.Context(), "x")
	must(t, err)
	must(t, s.RemoveLock(l))
	if _, err := os.Stat(filepath.Join(s.locks, "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestLockIsFreeOnCancelledContext(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, err := s.Lock(ctx, "x") // nobody has it: there is nothing to wait for
	must(t, err)
	must(t, l.Unlock())
}

func TestLockNames(t *testing.T) {
	t.Parallel()
	s := open(t, place(t))
	for _, name := range []string{"", ".", "..", "../x", "a/b"} {
		if _, err := s.Lock(t.Context(), name); err == nil {
			t.Errorf("%q was locked", name)
		}
	}
}

// Removal and waiting at once: two holders at a time would meet in the counter.
func TestLockRemovedUnderWaiters(t *testing.T) {
	t.Parallel()
	o := place(t)
	var holders atomic.Int32
	var wait sync.WaitGroup
	for n := range 8 {
		s := open(t, o)
		wait.Go(func() {
			for range 200 {
				l, err := s.Lock(t.Context(), "x")
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two holders")
				}
				holders.Add(-1)
				if n%2 == 0 {
					err = s.RemoveLock(l)
				} else {
					err = l.Unlock()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}

func TestLockDiesWithHolder(t *testing.T) {
	t.Parallel()
	o := place(t)
	s := open(t, o)
	cmd := command(t, "lock", o)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, ok, err := s.TryLock("x"); ok || err != nil {
		t.Fatalf("TryLock beside the holder: %v, %v", ok, err)
	}
	got := make(chan error, 1)
	go func() {
		l, err := s.Lock(t.Context(), "x")
		if err == nil {
			err = l.Unlock()
		}
		got <- err
	}()
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	must(t, <-got)
}

package ociruntime_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/ociruntime"
)

func TestRealCheck(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		c := b.create(t, b.options(t, proc(false, "/bin/sleep", "1000")))
		if err := b.r.Start(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
		first := c.first
		check := func(timeout time.Duration, args ...string) (ociruntime.CheckResult, string, error) {
			t.Helper()
			var out bytes.Buffer
			result, err := b.r.Check(t.Context(), ociruntime.CheckOptions{
				ContainerID: c.id, First: first, RunDir: filepath.Join(c.runDir, "check"), Process: proc(false, args...),
				Timeout: timeout, Output: &out,
			})
			return result, out.String(), err
		}
		for _, tt := range []struct {
			script, out string
			code        int
		}{
			{"echo o; echo e >&2", "o\ne\n", 0},
			{"exit 7", "", 7},
			{"kill -9 $$", "", 137},
			{"sleep 1000 & echo left", "left\n", 0}, // holds the pipe, but the check is over
		} {
			result, out, err := check(time.Minute, "/bin/sh", "-c", tt.script)
			if err != nil || result.Code != tt.code || result.TimedOut || out != tt.out {
				t.Errorf("%q: %+v, %q, %v", tt.script, result, out, err)
			}
		}
		var failed *ociruntime.Error
		if _, _, err := check(time.Minute, "/nowhere"); !errors.As(err, &failed) || failed.Kind != ociruntime.KindNotFound {
			t.Errorf("a command that is not there: %v", err)
		}
		result, out, err := check(500*time.Millisecond, "/bin/sh", "-c", "echo $$; (sleep 1000 &); sleep 1000 & sleep 1000")
		if err != nil || !result.TimedOut || out == "" {
			t.Errorf("a slow one: %+v, %q, %v", result, out, err)
		}
		b.leftCheck(t, c, first)
		if _, err := os.Stat(filepath.Join(c.runDir, "check")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("files of a check are left: %v", err)
		}
	})
}

// leftCheck ends a check whose pod was killed: the runtime is not its child.
func (b *bench) leftCheck(t *testing.T, c *container, first process.ID) {
	t.Helper()
	o := b.session(t, c, 99, proc(false, "/bin/sh", "-c", "sleep 1000 & sleep 1000"))
	created, err := b.r.Exec(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	leader := identify(t, created.PID)
	session := process.SessionOf(leader.PID)
	dir := filepath.Join(c.runDir, "check")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// A pid that is not the container's is left alone, and so is the first one.
	for _, pid := range []int{os.Getpid(), first.PID} {
		writePID(t, dir, pid)
		if err := ociruntime.EndCheck(t.Context(), dir, first); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatalf("the directory of an ended check is left: %v", err)
		}
	}
	if !first.Alive() || !leader.Alive() {
		t.Fatal("the wrong process was ended")
	}
	writePID(t, dir, leader.PID)
	for range 2 {
		if err := ociruntime.EndCheck(t.Context(), dir, first); err != nil {
			t.Fatal(err)
		}
	}
	if leader.Alive() || slices.ContainsFunc(process.Session(session), process.ID.Alive) {
		t.Error("a check that was left runs on")
	}
}

func writePID(t *testing.T, dir string, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "pidfile"), []byte(strconv.Itoa(pid)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

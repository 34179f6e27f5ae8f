package nsenter_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	_ "github.com/rootless-pod/pod/pkg/rootless/nsenter" // the watcher is in its constructor
	"github.com/rootless-pod/pod/pkg/timer"
)

// host is a user's run directory with the watcher in it; its jobs are lines of
// shell, started in dir.
type host struct {
	*timer.Timers
	dir string
}

func newHost(t *testing.T) host {
	t.Helper()
	base, dir := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "pod"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := host{dir: dir, Timers: timer.New(timer.Options{
		Store: "s", Self: "/bin/sh", HostUID: os.Getuid(), RunBase: base, Watcher: true,
		Environ: []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")},
	})}
	t.Cleanup(func() {
		if w, err := h.watcher(); err == nil {
			_ = w.Signal(syscall.SIGKILL) // gone already, if the test went well
		}
	})
	return h
}

func (h host) lock() string { return filepath.Join(h.RunBase, "pod", "watcher.lock") }

// watcher is the process that the lock file names.
func (h host) watcher() (process.ID, error) {
	var id process.ID
	data, err := os.ReadFile(h.lock())
	if err != nil {
		return id, err
	}
	_, err = fmt.Sscanf(string(data), "pod-watcher 1 %d %d", &id.PID, &id.Start)
	return id, err
}

func (h host) set(t *testing.T, name string, after, every time.Duration, script string) {
	t.Helper()
	job := timer.Job{Name: name, After: after, Every: every, Args: []string{"-c", `cd "$HOME"; ` + script}}
	if err := h.Set(context.Background(), job); err != nil {
		t.Error(err)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: " + what)
		}
	}
}

func (h host) read(name string) string {
	data, _ := os.ReadFile(filepath.Join(h.dir, name)) //nolint:errcheck // not there is empty
	return string(data)
}

func (h host) awaitFile(t *testing.T, name, want string) {
	t.Helper()
	until(t, fmt.Sprintf("%s holds %q", name, want), func() bool { return h.read(name) == want })
}

// awaitEnd waits until the watcher has ended and left nothing but its lock file.
func (h host) awaitEnd(t *testing.T) {
	t.Helper()
	until(t, "the watcher ends", func() bool { w, err := h.watcher(); return err == nil && !w.Alive() })
	for _, dir := range []string{"timers", "timers/.runs"} {
		entries, err := os.ReadDir(filepath.Join(h.RunBase, "pod", dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != ".runs" {
				t.Errorf("left: %s/%s", dir, e.Name())
			}
		}
	}
}

func TestWatchOnce(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.set(t, "one", 20*time.Millisecond, 0, `echo $HOME >> done; ls -l /proc/self/fd >> fds; pwd -P; readlink /proc/self/cwd >/dev/null`)
	h.awaitEnd(t)
	if got := h.read("done"); got != h.dir+"\n" {
		t.Errorf("it ran with the output %q", got)
	}
	// Nothing of ours is open in a job: 0, 1 and 2, and what ls itself opens.
	if got := h.read("fds"); strings.Contains(got, "watcher.lock") || strings.Contains(got, "timers") || strings.Contains(got, "anon_inode") {
		t.Errorf("a job inherits descriptors:\n%s", got)
	}
}

func TestWatchEvery(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	// A run that finds another one says so.
	h.set(t, "often", 0, time.Millisecond, `mkdir busy || echo twice >> bad; echo x >> lines; rmdir busy`)
	until(t, "five runs", func() bool { return len(h.read("lines")) >= 10 })
	if err := h.Clear(context.Background(), "often", "never-was"); err != nil {
		t.Fatal(err)
	}
	h.awaitEnd(t)
	if h.read("bad") != "" {
		t.Error("two runs at once")
	}
}

func TestWatchReplacedByItsOwnRun(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.set(t, "again", 0, 0, `echo 1 >> lines; until [ -e go ]; do :; done; echo 2 >> lines`)
	h.awaitFile(t, "lines", "1\n")
	h.set(t, "again", 0, 0, `echo 3 >> lines`)
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.awaitEnd(t)
	if got := h.read("lines"); got != "1\n2\n3\n" {
		t.Errorf("the second run came at the wrong time: %q", got)
	}
}

func TestWatchKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.set(t, "waits", 0, 0, `echo begin >> lines; until [ -e go ]; do :; done; echo end >> lines`)
	h.set(t, "later", time.Hour, 0, `echo never`)
	h.awaitFile(t, "lines", "begin\n")
	first, err := h.watcher()
	if err != nil {
		t.Fatal(err)
	}
	kill(t, first)
	// The next one leaves the run that goes on alone, and forgets no job.
	if err := h.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	second, err := h.watcher()
	if err != nil || second == first || !second.Alive() {
		t.Fatalf("watcher %v after %v: %v", second, first, err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.awaitFile(t, "lines", "begin\nend\n")
	if !second.Alive() {
		t.Error("the second watcher forgot the job of the first")
	}
	if err := h.Clear(context.Background(), "later"); err != nil {
		t.Fatal(err)
	}
	h.awaitEnd(t)
}

// TestWatchRunLost kills the watcher and the run: the job is tried again.
func TestWatchRunLost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.set(t, "lost", 0, 0, `[ -e pid ] && echo again > done && exit; echo $$ > new; mv new pid; while :; do :; done`)
	until(t, "the job runs", func() bool { return h.read("pid") != "" })
	w, err := h.watcher()
	if err != nil {
		t.Fatal(err)
	}
	kill(t, w)
	var pid int
	if _, err := fmt.Sscan(h.read("pid"), &pid); err != nil {
		t.Fatal(err)
	}
	job, err := process.Of(pid)
	if err != nil {
		t.Fatal(err)
	}
	kill(t, job)
	if err := h.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.awaitFile(t, "done", "again\n")
	h.awaitEnd(t)
}

func kill(t *testing.T, id process.ID) {
	t.Helper()
	if err := id.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, process.ErrGone) {
		t.Fatal(err)
	}
	if err := id.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestWatchRunKilled kills a run alone.
func TestWatchRunKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.set(t, "once", 0, 0, `[ -e was ] && echo again > done && exit; : > was; kill -9 $$`)
	h.awaitFile(t, "done", "again\n")
	h.awaitEnd(t)
}

// TestWatchEndAndBegin sets short jobs from many sides, while the watcher is
// about to end again and again: each runs, once.
func TestWatchEndAndBegin(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	const sides, rounds = 4, 15
	var wg sync.WaitGroup
	for side := range sides {
		wg.Go(func() {
			for round := range rounds {
				name := fmt.Sprintf("j%d-%d", side, round)
				h.set(t, name, 0, 0, "echo x >> "+name)
				h.awaitFile(t, name, "x\n")
			}
		})
	}
	wg.Wait()
	h.awaitEnd(t)
	for side := range sides {
		for round := range rounds {
			if got := h.read(fmt.Sprintf("j%d-%d", side, round)); got != "x\n" {
				t.Errorf("job %d of side %d: %q", round, side, got)
			}
		}
	}
}

func TestWatchForeignFiles(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := filepath.Join(h.RunBase, "pod", "timers")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "text": "hello", "header": "job=1", "nothing": "job=1\x00",
		"boot": "job=1\x00due=0\x00every=0\x00arg=/bin/false\x00boot=another\x00",
		"odd":  "job=1\x00due\x00=\x00", "key": "job=1\x00due=0\x00strange=1\x00arg=/bin/false\x00",
		"big": "job=1\x00arg=" + strings.Repeat("x", 300*1024),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.set(t, "good", 0, 0, "echo x >> good")
	h.awaitFile(t, "good", "x\n")
	h.awaitEnd(t)
}

// TestWatchCost keeps the promise of its size: less than 3 MB in proportion.
func TestWatchCost(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for i := range 100 {
		h.set(t, fmt.Sprintf("j%d", i), time.Hour, 0, ":")
	}
	w, err := h.watcher()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", w.PID))
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(data), "\nPss:")
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kB with 100 jobs", kilobytes)
	if kilobytes > 3000 {
		t.Errorf("the watcher takes %d kB", kilobytes)
	}
	until(t, "no more than 8 descriptors, when it has read all jobs", func() bool {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.PID))
		return err == nil && len(entries) <= 8
	})
	for i := range 100 {
		if err := h.Clear(context.Background(), fmt.Sprintf("j%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	h.awaitEnd(t)
}

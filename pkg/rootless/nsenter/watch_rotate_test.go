package nsenter_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/timer"
)

// container is the machine's conmon, with a line of shell for a container.
type container struct {
	host
	log, control string
	monitor      process.ID
}

// startContainer starts conmon; `script` runs in h.dir, and its output is logged.
func startContainer(t *testing.T, h host, script string) *container {
	t.Helper()
	conmon, err := exec.LookPath("conmon")
	if err != nil {
		t.Skip(err)
	}
	bundle := t.TempDir()
	runtime := filepath.Join(bundle, "runtime")
	body := fmt.Sprintf("#!/bin/sh\nfor a; do case $p in --pid-file) f=$a;; esac; p=$a; done\ncd %q\nsh -c '%s' &\necho $! > \"$f\"\n", h.dir, script)
	if err := os.WriteFile(runtime, []byte(body), 0o700); err != nil { //nolint:gosec // it is executed
		t.Fatal(err)
	}
	c := &container{host: h, log: filepath.Join(h.dir, "ctr.log"), control: filepath.Join(bundle, "ctl")}
	id := strings.Repeat("c", 64)
	cmd := exec.Command(conmon, "--api-version", "1", "-c", id, "-u", id, "-r", runtime, "-b", bundle, //nolint:noctx // it ends with its container
		"-p", filepath.Join(bundle, "pid"), "--exit-dir", bundle, "--full-attach", "--sync", "--no-sync-log",
		"-l", "k8s-file:"+c.log, "-n", "name", "--log-level", "error")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }() //nolint:errcheck // its exit file says more
	t.Cleanup(func() {
		_ = c.monitor.Signal(unix.SIGKILL) //nolint:errcheck // gone already, if the test went well
		<-done
		if t.Failed() {
			t.Log(stderr.String())
		}
	})
	if c.monitor, err = process.Of(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "conmon.id"), fmt.Appendf(nil, "%d %d\n", c.monitor.PID, c.monitor.Start), 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "conmon listens", func() bool {
		fd, err := unix.Open(c.control, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err == nil && unix.Close(fd) == nil
	})
	return c
}

func (c *container) rotate(t *testing.T, size int64, age time.Duration, files int) {
	t.Helper()
	err := c.Rotate(context.Background(), timer.Rotation{
		Name: "rotate", Path: c.log, Control: c.control, MaxSize: size, MaxAge: age, MaxFiles: files,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// files are the log's files, the oldest first.
func (c *container) files() []string {
	var names []string
	for i := 1000; i > 0; i-- {
		name := c.log + "." + strconv.Itoa(i)
		if _, err := os.Lstat(name); err == nil {
			names = append(names, name)
		}
	}
	if _, err := os.Lstat(c.log); err == nil {
		names = append(names, c.log)
	}
	return names
}

// numbers checks that the log has the lines from first to last, once and in order.
func (c *container) numbers(t *testing.T, first, last int) {
	t.Helper()
	next, part := first, ""
	for _, name := range c.files() {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if _, text, partial := strings.Cut(lines.Text(), " P "); partial {
				part += text
				continue
			}
			_, text, _ := strings.Cut(lines.Text(), " F ")
			text, part = part+text, ""
			if text != strconv.Itoa(next) {
				t.Fatalf("%s: line %q, want %d", filepath.Base(name), lines.Text(), next)
			}
			next++
		}
		_ = f.Close() // only read
	}
	if next != last+1 {
		t.Fatalf("the last line is %d instead of %d", next-1, last)
	}
}

func (c *container) awaitConmon(t *testing.T) {
	t.Helper()
	until(t, "conmon ends", func() bool { return !c.monitor.Alive() })
}

func TestRotateFastWriter(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := startContainer(t, h, "until [ -e go ]; do :; done; seq 1000000; until [ -e ctr.log.1 ]; do sleep 0.01; done; seq 1000001 1000002")
	c.rotate(t, 1<<20, 0, 1000)
	write(t, h, "go")
	c.awaitConmon(t)
	h.awaitEnd(t)
	c.numbers(t, 1, 1000002)
	t.Logf("48 MB in %d files", len(c.files())) // 40 on a quiet machine
}

// TestRotateKilled kills the watcher all the time, at any point of a rotation.
func TestRotateKilled(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := startContainer(t, h, "seq 600000; until [ -e go ]; do :; done; seq 600001 1200000; sleep 1; seq 1200001 1200002")
	write(t, h, "go")
	c.rotate(t, 256<<10, 0, 1000)
	kills := 0
	for c.monitor.Alive() {
		if w, err := h.watcher(); err == nil {
			kill(t, w)
			kills++
		}
		if err := h.Resume(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(kills%11) * 3 * time.Millisecond) // how far it gets
	}
	if err := h.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.awaitEnd(t)
	c.numbers(t, 1, 1200002)
	t.Logf("%d kills, %d files", kills, len(c.files()))
}

// TestRotateHalfDone begins where a watcher died between its two steps.
func TestRotateHalfDone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script string
		sent   bool // the message was sent, and not yet read
	}{
		"asleep":  {script: "seq 10; until [ -e go ]; do sleep 0.01; done; seq 11 20; until [ -e end ]; do sleep 0.01; done"},
		"writing": {script: "i=1; until [ -e go ]; do echo $i; i=$((i+1)); done; until [ -e end ]; do sleep 0.01; done; echo $i > count"},
		"sent":    {script: "i=1; until [ -e go ]; do echo $i; i=$((i+1)); done; until [ -e end ]; do sleep 0.01; done; echo $i > count", sent: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := startContainer(t, h, tt.script)
			until(t, "the log begins", func() bool { info, err := os.Stat(c.log); return err == nil && info.Size() > 100 })
			if err := os.Rename(c.log, c.log+".1"); err != nil {
				t.Fatal(err)
			}
			if tt.sent {
				if err := c.monitor.Signal(unix.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(c.control, []byte("2 0 0\n"), 0); err != nil {
					t.Fatal(err)
				}
			}
			c.rotate(t, 1<<30, 0, 3)
			if tt.sent {
				time.Sleep(50 * time.Millisecond) // in which the watcher must do nothing
				if err := c.monitor.Signal(unix.SIGCONT); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "conmon opens a new file", func() bool { _, err := os.Stat(c.log); return err == nil })
			write(t, h, "go")
			write(t, h, "end")
			c.awaitConmon(t)
			h.awaitEnd(t)
			last := 20
			if count := strings.TrimSpace(h.read("count")); count != "" {
				n, err := strconv.Atoi(count)
				if err != nil {
					t.Fatal(err)
				}
				last = n - 1
			}
			c.numbers(t, 1, last)
		})
	}
}

func TestRotateKeepsFiles(t *testing.T) {
	t.Parallel()
	for _, files := range []int{1, 2, 4} {
		t.Run(strconv.Itoa(files), func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			c := startContainer(t, h, "until [ -e go ]; do sleep 0.01; seq 500; done; sleep 0.1; echo last")
			c.rotate(t, 1024, 0, files)
			var last uint64
			changes := 0
			until(t, "the log is rotated many times", func() bool {
				var st unix.Stat_t
				if err := unix.Stat(c.log, &st); err == nil && st.Ino != last {
					last = st.Ino
					changes++
				}
				return changes > 10
			})
			write(t, h, "go")
			c.awaitConmon(t)
			h.awaitEnd(t)
			// One more while conmon has not opened the next.
			if n := len(c.files()); n > max(files, 2) || n < files {
				t.Errorf("%q instead of %d", c.files(), files)
			}
		})
	}
}

func TestRotateByAge(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	c := startContainer(t, h, "echo 1; until [ -e ctr.log.1 ]; do sleep 0.01; done; until [ -e ctr.log ]; do sleep 0.01; done; echo 2")
	c.rotate(t, 0, time.Second, 3)
	c.awaitConmon(t)
	h.awaitEnd(t)
	c.numbers(t, 1, 2)
	if n := len(c.files()); n != 2 {
		t.Errorf("%d files", n)
	}
}

// TestRotateLinks: a log that is a link is the user's choice, and left alone; a
// link in the place of the temporary file is replaced.
func TestRotateLinks(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if err := os.Symlink("real", filepath.Join(h.dir, "ctr.log")); err != nil {
		t.Fatal(err)
	}
	c := startContainer(t, h, "seq 1000; until [ -e go ]; do sleep 0.01; done")
	c.rotate(t, 100, 0, 3)
	h.awaitEnd(t)
	write(t, h, "go")
	c.awaitConmon(t)
	if n := len(c.files()); n != 1 {
		t.Errorf("%d files", n)
	}
	h = newHost(t)
	if err := os.Symlink("victim", filepath.Join(h.dir, "ctr.log.tmp")); err != nil {
		t.Fatal(err)
	}
	write(t, h, "victim")
	c = startContainer(t, h, "seq 1000; until [ -e ctr.log.1 ]; do sleep 0.01; done; until [ -e ctr.log ]; do sleep 0.01; done; seq 1001 1002")
	c.rotate(t, 100, 0, 3)
	c.awaitConmon(t)
	h.awaitEnd(t)
	c.numbers(t, 1, 1002)
	if h.read("victim") != "x" {
		t.Error("the watcher or conmon followed a link")
	}
}

func write(t *testing.T, h host, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

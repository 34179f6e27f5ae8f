package ociruntime_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
)

func TestRealExitCodesAndOutput(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		for _, c := range []struct {
			script   string
			code     int
			out, err string
		}{
			{"echo out; echo err >&2; exit 7", 7, "out\n", "err\n"},
			{"exit 0", 0, "", ""},
			{"(exit 3)", 3, "", ""},
		} {
			var out, errs bytes.Buffer
			ctr := b.create(t, b.options(t, proc(false, "/bin/sh", "-c", c.script)))
			exit := ctr.run(t, attach.Streams{Out: &out, Err: &errs})
			if exit.Code != c.code || exit.Unknown || out.String() != c.out || errs.String() != c.err {
				t.Errorf("%q: %+v, out %q, err %q", c.script, exit, out.String(), errs.String())
			}
			log, err := os.ReadFile(filepath.Join(ctr.runDir, "ctr.log"))
			if err != nil || strings.Contains(c.script, "echo out") && !strings.Contains(string(log), "stdout F out\n") {
				t.Errorf("log %q, %v", log, err)
			}
		}
	})
}

func TestRealShortOutputIsNeverLost(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		o := b.options(t, proc(false, "/bin/busybox", "echo", "short"))
		deleteAtEnd(t, b, o.ID)
		for i := range 40 { // the same directory again and again: restart
			var out bytes.Buffer
			created, err := b.r.Create(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			c := &container{b: b, id: o.ID, runDir: o.RunDir, first: identify(t, created.PID), conmon: identify(t, created.ConmonPID)}
			exit := c.run(t, attach.Streams{Out: &out})
			if exit.Code != 0 || out.String() != "short\n" {
				t.Fatalf("round %d: %+v, out %q", i, exit, out.String())
			}
			if err := b.r.Delete(t.Context(), o.ID, false); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestRealStaleSocket: what a killed conmon left does not hold up the next run.
func TestRealStaleSocket(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		o := b.options(t, proc(false, "/bin/sleep", "1000"))
		c := b.create(t, o)
		if err := c.conmon.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := b.r.Delete(t.Context(), o.ID, true); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		c = b.create(t, o)
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("the next run waited %v", took)
		}
		if err := b.r.Start(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
		if err := c.first.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if exit := c.wait(t); exit.Code != 137 {
			t.Errorf("%+v", exit)
		}
	})
}

func TestRealStdin(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		o := b.options(t, proc(false, "/bin/cat"))
		o.Stdin = true
		c := b.create(t, o)
		sent := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16) // 1 MiB each way at once
		var out bytes.Buffer
		exit := c.run(t, attach.Streams{In: bytes.NewReader(sent), Out: &out})
		if exit.Code != 0 || !bytes.Equal(out.Bytes(), sent) {
			t.Errorf("%+v, got %d bytes back of %d", exit, out.Len(), len(sent))
		}
	})
}

func TestRealStdinUnread(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		o := b.options(t, proc(false, "/bin/sh", "-c", "echo done; exit 5"))
		o.Stdin = true
		c := b.create(t, o)
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer pr.Close()
		defer pw.Close()
		_, _ = pw.Write(make([]byte, 60<<10))
		var out bytes.Buffer
		exit := c.run(t, attach.Streams{In: pr, Out: &out})
		if exit.Code != 5 || out.String() != "done\n" {
			t.Errorf("%+v, out %q", exit, out.String())
		}
	})
}

func TestRealTerminal(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		p := proc(true, "/bin/sh", "-c", "tty; read x; stty size; echo got $x; exit 6")
		c := b.create(t, b.options(t, p))
		if err := attach.Resize(ociruntime.Ctl(c.runDir), 33, 101); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		in, typed := io.Pipe()
		go func() { _, _ = typed.Write([]byte("hello\r")) }()
		exit := c.run(t, attach.Streams{In: in, Out: &out})
		if exit.Code != 6 || !strings.Contains(out.String(), "/dev/pts/0\r\n") ||
			!strings.Contains(out.String(), "33 101\r\n") || !strings.Contains(out.String(), "got hello\r\n") {
			t.Errorf("%+v, out %q", exit, out.String())
		}
	})
}

func TestRealDetachAndAttachAgain(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		c := b.create(t, b.options(t, proc(true, "/bin/cat")))
		o := attach.Options{
			Socket: ociruntime.AttachSocket(c.runDir), Terminal: true, DetachKeys: attach.DefaultDetachKeys,
			Streams: attach.Streams{In: strings.NewReader("\x10\x11"), Out: io.Discard},
			Started: func() error { return b.r.Start(t.Context(), c.id) },
		}
		if res, err := attach.Attach(t.Context(), o); err != nil || !res.Detached {
			t.Fatalf("%+v, %v", res, err)
		}
		if !c.first.Alive() {
			t.Fatal("detaching ended the container")
		}
		var out bytes.Buffer
		o.Started = nil
		o.Streams = attach.Streams{In: strings.NewReader("again\r\x04"), Out: &out}
		if res, err := attach.Attach(t.Context(), o); err != nil || res.Detached {
			t.Fatalf("%+v, %v", res, err)
		}
		if exit := c.wait(t); exit.Code != 0 || !strings.Contains(out.String(), "again") {
			t.Errorf("%+v, out %q", exit, out.String())
		}
	})
}

func TestRealSignals(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		c := b.create(t, b.options(t, proc(false, "/bin/sleep", "1000")))
		if st, err := b.r.State(t.Context(), c.id); err != nil || st.Status != rspec.StateCreated {
			t.Errorf("state %+v, %v", st, err)
		}
		if err := b.r.Start(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
		if st, err := b.r.State(t.Context(), c.id); err != nil || st.Status != rspec.StateRunning || st.Pid != c.created.PID {
			t.Errorf("state %+v, %v", st, err)
		}
		if err := b.r.Kill(t.Context(), c.id, unix.SIGKILL, false); err != nil {
			t.Fatal(err)
		}
		if exit := c.wait(t); exit.Code != 137 {
			t.Errorf("%+v", exit)
		}
		err := b.r.Start(t.Context(), c.id)
		if ociruntime.KindOf(err) != ociruntime.KindNotRunning {
			t.Errorf("start of a dead container: %v", err)
		}
	})
}

func TestRealBadCommands(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		for command, kind := range map[string]ociruntime.Kind{
			"nosuch": ociruntime.KindNotFound, "/nosuch": ociruntime.KindNotFound,
			"/adir": ociruntime.KindNotExecutable, "/noexec": ociruntime.KindNotExecutable,
		} {
			for _, terminal := range []bool{false, true} {
				o := b.options(t, proc(terminal, command))
				_, err := b.r.Create(t.Context(), o)
				if ociruntime.KindOf(err) != kind || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s, terminal %v: %v", command, terminal, err)
				}
				if _, err := b.r.State(t.Context(), o.ID); ociruntime.KindOf(err) != ociruntime.KindNoContainer {
					t.Errorf("%s, terminal %v: the failed container is still there: %v", command, terminal, err)
				}
			}
		}
		if err := b.r.Kill(t.Context(), "nosuch", unix.SIGTERM, false); ociruntime.KindOf(err) != ociruntime.KindNoContainer {
			t.Errorf("kill of an unknown container: %v", err)
		}
		if err := b.r.Delete(t.Context(), "nosuch", true); err != nil {
			t.Errorf("forced delete of an unknown container: %v", err)
		}
	})
}

func TestRealBrokenConmon(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		r := *b.r
		r.Flags = []string{"--no-such-flag"}
		_, err := r.Create(t.Context(), b.options(t, proc(false, "/bin/true")))
		if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
			t.Errorf("wrong flag of the runtime: %v", err)
		}
		r = *b.r
		r.Path = "/nosuch/runtime"
		_, err = r.Create(t.Context(), b.options(t, proc(false, "/bin/true")))
		if err == nil || !strings.Contains(err.Error(), "/nosuch/runtime") {
			t.Errorf("missing runtime: %v", err)
		}
		r = *b.r
		r.Conmon = "/nosuch/conmon"
		if _, err = r.Create(t.Context(), b.options(t, proc(false, "/bin/true"))); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("missing conmon: %v", err)
		}
	})
}

func TestRealConmonKilled(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		c := b.create(t, b.options(t, proc(false, "/bin/sleep", "1000")))
		if err := b.r.Start(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
		if err := c.conmon.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := b.r.Kill(t.Context(), c.id, unix.SIGKILL, false); err != nil {
			t.Fatal(err)
		}
		if exit := c.wait(t); !exit.Unknown || exit.Code != -1 {
			t.Errorf("%+v, want unknown", exit)
		}
	})
}

func TestRealExitCommand(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		o := b.options(t, proc(false, "/bin/sh", "-c", "exit 3"))
		mark := filepath.Join(b.dir, "cleaned")
		busybox, _ := exec.LookPath("busybox")
		// It sees the exit file, its arguments as given, and none of our files.
		o.ExitCommand = []string{
			busybox, "sh", "-c", `cat "$1" > "$2"; echo " $3" $(ls /proc/$$/fd) >> "$2"; sleep 1`, "x",
			filepath.Join(o.RunDir, o.ID), mark, "two words",
		}
		leak, err := unix.Open("/dev/null", unix.O_RDONLY, 0) // no close-on-exec, on purpose
		if err != nil {
			t.Fatal(err)
		}
		if leak, err = unix.FcntlInt(uintptr(leak), unix.F_DUPFD, 200); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(leak)
		c := b.create(t, o)
		var out bytes.Buffer
		begin := time.Now()
		exit := c.run(t, attach.Streams{Out: &out})
		if took := time.Since(begin); exit.Code != 3 || took > 800*time.Millisecond {
			t.Errorf("%+v after %v: the end was not seen before the exit command's", exit, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.conmon.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(mark)
		if err != nil || !strings.HasPrefix(string(got), "3 two words") {
			t.Errorf("exit command wrote %q, %v", got, err)
		}
		if strings.Contains(string(got), " 200") {
			t.Errorf("conmon kept a descriptor of ours: %q", got)
		}
	})
}

func TestRealTimeoutAndPlace(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		o := b.options(t, proc(false, "/bin/sleep", "1000"))
		o.Timeout = 1
		placed := 0
		o.Place = func(_ context.Context, pid int) error { placed = pid; return nil }
		o.PIDFile = filepath.Join(b.dir, "pid")
		c := b.create(t, o)
		if placed != c.created.ConmonPID {
			t.Errorf("placed %d, conmon is %d", placed, c.created.ConmonPID)
		}
		if pid, err := os.ReadFile(o.PIDFile); err != nil || string(pid) != strconv.Itoa(c.created.PID) {
			t.Errorf("pid file %q, %v", pid, err)
		}
		if err := b.r.Start(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
		if exit := c.wait(t); exit.Code != ociruntime.CodeTimedOut {
			t.Errorf("%+v", exit)
		}
		refused := errors.New("refused")
		o = b.options(t, proc(false, "/bin/true"))
		o.Place = func(context.Context, int) error { return refused }
		if _, err := b.r.Create(t.Context(), o); !errors.Is(err, refused) {
			t.Errorf("error %v, want the one of Place", err)
		}
	})
}

// TestRealTime reports what a whole cycle costs.
func TestRealTime(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		o := b.options(t, proc(false, "/bin/true"))
		const rounds = 30
		deleteAtEnd(t, b, o.ID)
		var create, start, end, del []time.Duration
		for range rounds {
			t0 := time.Now()
			created, err := b.r.Create(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			c := &container{b: b, id: o.ID, runDir: o.RunDir, first: identify(t, created.PID), conmon: identify(t, created.ConmonPID)}
			t1 := time.Now()
			var t2 time.Time
			if _, err := attach.Attach(t.Context(), attach.Options{
				Socket: ociruntime.AttachSocket(o.RunDir), Streams: attach.Streams{Out: io.Discard},
				Started: func() error { err := b.r.Start(t.Context(), o.ID); t2 = time.Now(); return err },
			}); err != nil {
				t.Fatal(err)
			}
			c.wait(t)
			t3 := time.Now()
			if err := b.r.Delete(t.Context(), o.ID, true); err != nil {
				t.Fatal(err)
			}
			create, start = append(create, t1.Sub(t0)), append(start, t2.Sub(t1))
			end, del = append(end, t3.Sub(t2)), append(del, time.Since(t3))
		}
		t.Logf("median ms of %d: create %.1f, start %.1f, exit seen %.1f, delete %.1f",
			rounds, median(create), median(start), median(end), median(del))
	})
}

func median(d []time.Duration) float64 {
	for i := range d {
		for j := i; j > 0 && d[j] < d[j-1]; j-- {
			d[j], d[j-1] = d[j-1], d[j]
		}
	}
	return float64(d[len(d)/2].Microseconds()) / 1000
}

package ociruntime_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
)

func TestRealExec(t *testing.T) {
	forRuntimes(t, func(b *bench) {
		t := b.t
		c := b.create(t, b.options(t, proc(false, "/bin/sleep", "1000")))
		if err := b.r.Start(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
		for i, e := range []struct {
			script, in, out, err string
			terminal             bool
			code                 int
		}{
			{script: "echo o; echo e >&2; exit 9", out: "o\n", err: "e\n", code: 9},
			{script: "cat; exit 2", in: "input\n", out: "input\n", code: 2},
			{script: "tty; exit 3", out: "/dev/pts/0\r\n", terminal: true, code: 3},
			{script: "echo short", out: "short\n"},
		} {
			o := b.session(t, c, i, proc(e.terminal, "/bin/sh", "-c", e.script))
			o.Attach, o.Stdin = true, e.in != ""
			s, err := b.r.PrepareExec(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			var first, conmon process.ID
			streams := attach.Streams{Out: &out, Err: &errs}
			if o.Stdin {
				streams.In = strings.NewReader(e.in)
			}
			_, err = attach.Attach(t.Context(), attach.Options{
				Socket: ociruntime.AttachSocket(o.RunDir), Terminal: e.terminal, Streams: streams,
				Started: func() error {
					conmon = identify(t, s.ConmonPID())
					created, err := s.Start(t.Context())
					if err == nil {
						first = identify(t, created.PID)
					}
					return err
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			exit, err := ociruntime.WaitExit(t.Context(), o.RunDir, c.id, first, conmon)
			if err != nil || exit.Code != e.code || out.String() != e.out || errs.String() != e.err {
				t.Errorf("%q: %+v, %v, out %q, err %q", e.script, exit, err, out.String(), errs.String())
			}
		}
		b.badExec(t, c)
	})
}

// session describes an exec session in c.
func (b *bench) session(t *testing.T, c *container, i int, p *rspec.Process) ociruntime.ExecOptions {
	t.Helper()
	runDir := filepath.Join(c.runDir, "exec"+strconv.Itoa(i))
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		t.Fatal(err)
	}
	return ociruntime.ExecOptions{
		ContainerID: c.id, SessionID: "session" + strconv.Itoa(i), RunDir: runDir, Process: p, Terminal: p.Terminal,
	}
}

// badExec tries commands that cannot run, attached and detached.
func (b *bench) badExec(t *testing.T, c *container) {
	t.Helper()
	n := 100
	for command, kind := range map[string]ociruntime.Kind{"nosuch": ociruntime.KindNotFound, "/noexec": ociruntime.KindNotExecutable} {
		for _, terminal := range []bool{false, true} {
			n++
			_, err := b.r.Exec(t.Context(), b.session(t, c, n, proc(terminal, command)))
			if ociruntime.KindOf(err) != kind {
				t.Errorf("detached exec %s: %v", command, err)
			}
			n++
			o := b.session(t, c, n, proc(terminal, command))
			o.Attach = true
			s, err := b.r.PrepareExec(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Start(t.Context()); ociruntime.KindOf(err) != kind {
				t.Errorf("attached exec %s: %v", command, err)
			}
		}
	}
	n++
	o := b.session(t, c, n, proc(false, "/bin/true"))
	o.Attach = true
	s, err := b.r.PrepareExec(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	conmon := identify(t, s.ConmonPID())
	s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := conmon.Wait(ctx); err != nil {
		t.Errorf("conmon of a closed session stays: %v", err)
	}
	created, err := b.r.Exec(t.Context(), b.session(t, c, n+1, proc(false, "/bin/sh", "-c", "exit 8")))
	if err != nil {
		t.Fatal(err)
	}
	exit, err := ociruntime.WaitExit(t.Context(), filepath.Join(c.runDir, "exec"+strconv.Itoa(n+1)), c.id,
		identify(t, created.PID), identify(t, created.ConmonPID))
	if err != nil || exit.Code != 8 {
		t.Errorf("detached exec: %+v, %v", exit, err)
	}
}

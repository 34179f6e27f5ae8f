package process

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	tail := " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	tests := []struct {
		name, line string
		want       stat
		fails      bool
	}{
		{"plain", "12 (cat) S" + tail, stat{'S', 1, 3, 4711}, false},
		{"name with parentheses", "12 (a) Z 9 (b c) R" + tail, stat{'R', 1, 3, 4711}, false},
		{"zombie", "12 (x) Z" + tail, stat{'Z', 1, 3, 4711}, false},
		{"no name", "12 cat S" + tail, stat{}, true},
		{"short", "12 (cat) S 1 2 3", stat{}, true},
		{"empty", "", stat{}, true},
		{"not a number", "12 (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x 20", stat{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseStat([]byte(tt.line))
			if (err != nil) != tt.fails || got != tt.want {
				t.Errorf("parseStat = %+v, %v; want %+v, error %v", got, err, tt.want, tt.fails)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a) Z 9 (b c) R 1 2 3"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseStat(b) })
}

// cat starts a process that runs until its standard input is closed.
func cat(t *testing.T) (ID, io.Closer, *exec.Cmd) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	id, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return id, in, cmd
}

func TestSelfIsAlive(t *testing.T) {
	t.Parallel()
	if id := Self(); id.PID != os.Getpid() || !id.Alive() {
		t.Errorf("Self() = %+v, alive %v", id, id.Alive())
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(ID{PID: 7, Start: 9})
	if err != nil || string(b) != `{"pid":7,"start":9}` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
}

func TestRecycledPID(t *testing.T) {
	t.Parallel()
	id, _, _ := cat(t)
	recycled := ID{PID: id.PID, Start: id.Start + 1}
	if recycled.Alive() {
		t.Error("an identity with another start time is alive")
	}
	if err := recycled.Signal(syscall.SIGKILL); !errors.Is(err, ErrGone) {
		t.Errorf("Signal = %v, want ErrGone", err)
	}
	if err := recycled.Wait(t.Context()); err != nil {
		t.Errorf("Wait = %v, want nil at once", err)
	}
	if !id.Alive() {
		t.Error("the process got the signal meant for another")
	}
}

func TestNoProcess(t *testing.T) {
	t.Parallel()
	for _, id := range []ID{{}, {PID: -1, Start: 1}, {PID: 1 << 22, Start: 1}, {PID: os.Getpid()}} {
		if id.Alive() {
			t.Errorf("%+v is alive", id)
		}
		if err := id.Signal(0); !errors.Is(err, ErrGone) {
			t.Errorf("Signal of %+v = %v, want ErrGone", id, err)
		}
	}
	if _, err := Of(1 << 22); !errors.Is(err, ErrGone) {
		t.Errorf("Of = %v, want ErrGone", err)
	}
}

func TestZombieIsDead(t *testing.T) {
	t.Parallel()
	id, _, cmd := cat(t)
	if err := id.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := id.Wait(t.Context()); err != nil { // ends before anybody reaps it
		t.Fatal(err)
	}
	if _, err := Of(id.PID); err != nil {
		t.Errorf("a zombie has no identity: %v", err)
	}
	if id.Alive() {
		t.Error("a zombie is alive")
	}
	if err := id.Signal(0); !errors.Is(err, ErrGone) {
		t.Errorf("Signal of a zombie = %v, want ErrGone", err)
	}
	_ = cmd.Wait()
	if err := id.Wait(t.Context()); err != nil {
		t.Errorf("Wait after the end = %v", err)
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	id, in, _ := cat(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := id.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait = %v, want the context's error", err)
	}
	gone, cancelled := context.WithCancel(t.Context())
	cancelled()
	if err := id.Wait(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want the context's error", err)
	}
	done := make(chan error, 1)
	go func() { done <- id.Wait(t.Context()) }()
	in.Close()
	if err := <-done; err != nil {
		t.Errorf("Wait = %v", err)
	}
}

func TestBootID(t *testing.T) {
	t.Parallel()
	if id, err := BootID(); err != nil || len(id) != 36 {
		t.Errorf("BootID = %q, %v", id, err)
	}
}

func TestChildren(t *testing.T) {
	t.Parallel()
	id, _, _ := cat(t)
	if got := Children(os.Getpid()); !slices.Contains(got, id) {
		t.Errorf("%v is not among %v", id, got)
	}
	if got := Children(id.PID); len(got) != 0 {
		t.Errorf("cat has children %v", got)
	}
}

func BenchmarkAlive(b *testing.B) {
	self := Self()
	for b.Loop() {
		if !self.Alive() {
			b.Fatal("this process is not alive")
		}
	}
}

func TestArguments(t *testing.T) {
	self := os.Getpid()
	if got := Arguments(self); !slices.Equal(got, os.Args) {
		t.Errorf("arguments %q, want %q", got, os.Args)
	}
	if got := Parent(self); got != os.Getppid() {
		t.Errorf("parent %d, want %d", got, os.Getppid())
	}
	if Arguments(1<<30) != nil || Parent(1<<30) != 0 {
		t.Error("a process that is not there has a parent or arguments")
	}
	found := FindArguments(func(_ ID, args []string) bool { return slices.Equal(args, os.Args) })
	if !slices.Contains(found, Self()) {
		t.Errorf("found %v without %v", found, Self())
	}
}

func TestDaemon(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	if got := Daemon(file); got != (ID{}) {
		t.Errorf("no file: %v", got)
	}
	for text, want := range map[string]ID{
		strconv.Itoa(os.Getpid()) + "\n": Self(), "": {}, "1": {}, "-5": {}, "x": {}, strconv.Itoa(1 << 30): {},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Daemon(file); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	own, err := Numbers(os.Getpid())
	if len(own) < 1 || err != nil {
		t.Errorf("this process is in %v, %v", own, err)
	}
	if none, err := Numbers(-1); none != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no process is in %v, %v", none, err)
	}
	inner := exec.Command("sleep", "1000")
	inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if err := inner.Start(); err != nil {
		t.Skipf("needs CAP_SYS_ADMIN: %v", err)
	}
	want := len(own) + 1
	if got, err := Numbers(inner.Process.Pid); len(got) != want || got[want-1] != "1" || err != nil {
		t.Errorf("the first of a namespace is in %v, %v", got, err)
	}
	who, err := Of(inner.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(who.Signal(syscall.SIGKILL), who.Wait(t.Context())); err != nil {
		t.Fatal(err)
	}
	if got, err := Numbers(inner.Process.Pid); len(got) != want || err != nil {
		t.Errorf("one that has ended is in %v, %v", got, err)
	}
	_ = inner.Wait()
}

package timer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootless-pod/pod/internal/scope"
)

// realTimers are timers of the systemd of who runs the test.
func realTimers(t *testing.T) (*Timers, scope.Manager, string) {
	t.Helper()
	base := os.Getenv("XDG_RUNTIME_DIR")
	manager, ok := scope.Find(os.Getuid(), base)
	if !ok || base == "" {
		t.Skip("no systemd of this user")
	}
	dir := t.TempDir()
	return New(Options{
		Store: fmt.Sprintf("t%d%s", os.Getpid(), t.Name()), Self: "/bin/sh", HostUID: os.Getuid(), RunBase: base,
		Environ: []string{"XDG_TEST=" + dir},
	}), manager, dir
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("in vain: " + what)
		}
	}
}

func read(dir, name string) string {
	data, _ := os.ReadFile(filepath.Join(dir, name)) //nolint:errcheck // not there is empty
	return string(data)
}

func script(text string) []string { return []string{"-c", `cd "$XDG_TEST"; ` + text} }

// noUnits waits until systemd has forgotten all units of a job.
func noUnits(t *testing.T, timers *Timers, manager scope.Manager, name string) {
	t.Helper()
	conn, err := manager.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	await(t, "no unit is left", func() bool {
		units, err := conn.List(context.Background(), timers.unit(name)+"*")
		if err != nil {
			t.Fatal(err)
		}
		return len(units) == 0
	})
}

func TestSystemdOnce(t *testing.T) {
	t.Parallel()
	timers, manager, dir := realTimers(t)
	ctx := context.Background()
	job := Job{Name: "once", After: 20 * time.Millisecond, Args: script(`echo 'it is 50% $HOME ${HOME} $$' %h "$0" > out; sleep 1000 & echo $! > left`)}
	if err := timers.Set(ctx, job); err != nil {
		t.Fatal(err)
	}
	await(t, "it runs", func() bool { return strings.HasSuffix(read(dir, "left"), "\n") })
	if got := read(dir, "out"); got != "it is 50% $HOME ${HOME} $$ %h /bin/sh\n" {
		t.Errorf("arguments arrive as %q", got)
	}
	var left int
	if _, err := fmt.Sscan(read(dir, "left"), &left); err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(left)
	if err != nil {
		t.Fatal(err)
	}
	noUnitsButLeft(t, timers, manager, "once")
	if err := process.Kill(); err != nil {
		t.Errorf("what a job started does not outlive it: %v", err)
	}
	noUnits(t, timers, manager, "once")
}

// noUnitsButLeft waits until the job's timer is gone; its service may be there as
// long as a process of it is.
func noUnitsButLeft(t *testing.T, timers *Timers, manager scope.Manager, name string) {
	t.Helper()
	conn, err := manager.Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	await(t, "no timer is left", func() bool {
		units, err := conn.List(context.Background(), timers.unit(name)+"*.timer")
		if err != nil {
			t.Fatal(err)
		}
		return len(units) == 0
	})
}

func TestSystemdEvery(t *testing.T) {
	t.Parallel()
	timers, manager, dir := realTimers(t)
	ctx := context.Background()
	job := Job{Name: "every", After: time.Millisecond, Every: 10 * time.Millisecond, Args: script(`mkdir busy || echo bad > bad; echo x >> out; rmdir busy; exit 1`)}
	if err := timers.Set(ctx, job); err != nil {
		t.Fatal(err)
	}
	// More than systemd's limit of starts, and although it fails each time.
	await(t, "eight runs", func() bool { return len(read(dir, "out")) >= 16 })
	if read(dir, "bad") != "" {
		t.Error("two runs at once")
	}
	if err := timers.Clear(ctx, "every", "never-was"); err != nil {
		t.Fatal(err)
	}
	noUnits(t, timers, manager, "every")
}

func TestSystemdRunKilled(t *testing.T) {
	t.Parallel()
	timers, manager, dir := realTimers(t)
	if err := timers.Set(context.Background(), Job{Name: "killed", Args: script(`[ -e was ] && echo again > out && exit; : > was; kill -9 $$`)}); err != nil {
		t.Fatal(err)
	}
	await(t, "it is tried again", func() bool { return read(dir, "out") == "again\n" })
	noUnits(t, timers, manager, "killed")
}

func TestSystemdReplacedByItsOwnRun(t *testing.T) {
	t.Parallel()
	timers, manager, dir := realTimers(t)
	ctx := context.Background()
	if err := timers.Set(ctx, Job{Name: "self", Args: script(`echo 1 >> out; until [ -e go ]; do sleep 0.01; done; echo 2 >> out`)}); err != nil {
		t.Fatal(err)
	}
	await(t, "it runs", func() bool { return read(dir, "out") == "1\n" })
	if err := timers.Set(ctx, Job{Name: "self", Args: script(`echo 3 >> other`)}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "both end", func() bool { return read(dir, "out") == "1\n2\n" && read(dir, "other") == "3\n" })
	noUnits(t, timers, manager, "self")
}

package ociruntime_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
)

// inNamespace marks the child of TestReal, which has a mount namespace of its own.
const inNamespace = "POD_TEST_OCI_NAMESPACE"

// TestReal runs the tests named TestReal… with real runtimes and conmon in a
// mount namespace. POD_TEST_CONMON and POD_TEST_RUNTIMES (NAME=PATH,…) choose
// others than the installed ones.
func TestReal(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Skip("is the parent of the tests in the namespace")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root for a mount namespace")
	}
	for _, tool := range []string{"conmon", "crun", "busybox"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	args := []string{"-test.run=^TestReal.", "-test.v=" + strconv.FormatBool(testing.Verbose()), "-test.count=1"}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("no mount namespace here: %v", err)
	}
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// bench is a runtime with a place for bundles, for one test.
type bench struct {
	t    *testing.T
	r    *ociruntime.Runtime
	dir  string
	root string
	next int
}

// forRuntimes runs a test with each runtime that is there.
func forRuntimes(t *testing.T, f func(b *bench)) {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		t.Skip("runs as a child of TestReal")
	}
	var fs unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &fs); err == nil && fs.Type != unix.CGROUP2_SUPER_MAGIC {
		if err := unix.Mount("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "", unix.MS_BIND, ""); err != nil {
			t.Skipf("no cgroup v2 here: %v", err)
		}
	}
	conmon := os.Getenv("POD_TEST_CONMON")
	if conmon == "" {
		conmon, _ = ociruntime.FindConmon(nil)
	}
	runtimes := os.Getenv("POD_TEST_RUNTIMES")
	if runtimes == "" {
		runtimes = "crun=crun,runc=runc"
	}
	for entry := range strings.SplitSeq(runtimes, ",") {
		name, path, _ := strings.Cut(entry, "=")
		t.Run(name, func(t *testing.T) {
			found, err := ociruntime.Find(path, nil)
			if err != nil {
				t.Skip(err)
			}
			dir, err := os.MkdirTemp("/dev/shm", "oci") //nolint:usetesting // in memory, as in life
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { removeAll(t, dir) })
			b := &bench{t: t, dir: dir, root: filepath.Join(dir, "rootfs"), r: &ociruntime.Runtime{
				Name: name, Path: found, Conmon: conmon, StateRoot: filepath.Join(dir, "state"),
			}}
			b.makeRoot(t)
			f(b)
		})
	}
}

// removeAll removes a directory in which a conmon may still be making files on
// its way out.
func removeAll(t *testing.T, dir string) {
	t.Helper()
	for begin := time.Now(); ; {
		err := os.RemoveAll(dir)
		if err == nil {
			return
		}
		if time.Since(begin) > 10*time.Second {
			t.Error(err)
			return
		}
	}
}

// makeRoot makes a root file system of busybox.
func (b *bench) makeRoot(t *testing.T) {
	t.Helper()
	for _, d := range []string{"bin", "proc", "dev", "sys", "tmp", "adir"} {
		if err := os.MkdirAll(filepath.Join(b.root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, _ := exec.LookPath("busybox")
	data, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.root, "bin/busybox"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"sh", "true", "cat", "sleep", "stty", "tty", "head", "yes"} {
		if err := os.Symlink("busybox", filepath.Join(b.root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(b.root, "noexec"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// proc is a process in the test's containers.
func proc(terminal bool, args ...string) *rspec.Process {
	caps := []string{"CAP_KILL", "CAP_SETUID", "CAP_SETGID"}
	return &rspec.Process{
		Terminal: terminal, Args: args, Cwd: "/", Env: []string{"PATH=/bin"},
		Capabilities: &rspec.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
	}
}

// container is a created container.
type container struct {
	b             *bench
	id, runDir    string
	created       *ociruntime.Created
	first, conmon process.ID
}

// options writes a bundle and describes its container.
func (b *bench) options(t *testing.T, p *rspec.Process) ociruntime.CreateOptions {
	t.Helper()
	b.next++
	id := "pod-test-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(b.next)
	// A directory longer than a socket's address.
	runDir := filepath.Join(b.dir, strings.Repeat("d", 120), id)
	if err := os.MkdirAll(runDir, 0o700); err != nil {
		t.Fatal(err)
	}
	spec := rspec.Spec{
		Version: "1.0.2", Process: p, Root: &rspec.Root{Path: b.root}, Hostname: "test",
		Mounts: []rspec.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666", "mode=0620"}},
		},
		Linux: &rspec.Linux{Namespaces: []rspec.LinuxNamespace{
			{Type: rspec.PIDNamespace}, {Type: rspec.MountNamespace}, {Type: rspec.UTSNamespace}, {Type: rspec.IPCNamespace},
		}},
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(runDir, "config.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return ociruntime.CreateOptions{
		ID: id, Name: id, RunDir: runDir, Terminal: p.Terminal,
		Log: ociruntime.Log{Driver: ociruntime.LogK8sFile, Path: filepath.Join(runDir, "ctr.log")},
	}
}

// create makes a container that the test deletes at its end.
func (b *bench) create(t *testing.T, o ociruntime.CreateOptions) *container {
	t.Helper()
	created, err := b.r.Create(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := &container{b: b, id: o.ID, runDir: o.RunDir, created: created}
	deleteAtEnd(t, b, o.ID)
	c.first = identify(t, created.PID)
	c.conmon = identify(t, created.ConmonPID)
	return c
}

// deleteAtEnd leaves nothing of a container behind, however the test ends.
func deleteAtEnd(t *testing.T, b *bench, id string) {
	t.Helper()
	t.Cleanup(func() {
		if err := b.r.Delete(context.Background(), id, true); err != nil {
			t.Errorf("delete: %v", err)
		}
	})
}

func identify(t *testing.T, pid int) process.ID {
	t.Helper()
	id, err := process.Of(pid)
	if err != nil && !errors.Is(err, process.ErrGone) {
		t.Fatal(err)
	}
	return id
}

// run starts the container with streams attached and returns its exit.
func (c *container) run(t *testing.T, s attach.Streams) ociruntime.Exit {
	t.Helper()
	_, err := attach.Attach(t.Context(), attach.Options{
		Socket: ociruntime.AttachSocket(c.runDir), Ctl: ociruntime.Ctl(c.runDir), Streams: s,
		Started: func() error { return c.b.r.Start(t.Context(), c.id) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.wait(t)
}

func (c *container) wait(t *testing.T) ociruntime.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	exit, err := ociruntime.WaitExit(ctx, c.runDir, c.id, c.first, c.conmon)
	if err != nil {
		t.Fatal(err)
	}
	return exit
}

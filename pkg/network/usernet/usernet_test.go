package usernet

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netns"
)

// insideEnv tells the test program that it was started in namespaces of its own.
const insideEnv = "POD_TEST_USERNET_INSIDE"

func TestInNamespaces(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInside", "-test.v", "-test.timeout=100s")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNS, Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this host refuses namespaces: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// config is for a test inside.
func config(t *testing.T) Config {
	t.Helper()
	if os.Getenv(insideEnv) == "" {
		t.Skip("runs in namespaces of its own, started by TestInNamespaces")
	}
	if err := link.CheckTun(); err != nil {
		t.Skip(err)
	}
	pasta, err := exec.LookPath("pasta")
	if err != nil {
		t.Skip("pasta is not installed")
	}
	slirp, _ := exec.LookPath("slirp4netns")
	dir, err := os.MkdirTemp("", "usernet") //nolint:usetesting // shorter than t.TempDir: a socket goes in
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: filepath.Join(dir, "u"), NetNS: filepath.Join(dir, "netns", "u"), Rootless: true, Pasta: pasta, Slirp4netns: slirp, CacheDir: dir}
	t.Cleanup(func() {
		for _, name := range Users(cfg) {
			_ = Release(context.Background(), cfg, name)
		}
		_ = os.RemoveAll(dir)
	})
	return cfg
}

// container makes the namespace of a container that is to use ours.
func container(t *testing.T, cfg Config, name string) User {
	t.Helper()
	path := filepath.Join(filepath.Dir(cfg.NetNS), name)
	if err := netns.Create(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netns.Remove(path) })
	return User{Name: name, NetNS: path}
}

func open(t *testing.T, cfg Config, u User) *Namespace {
	t.Helper()
	start := time.Now()
	ns, err := Open(t.Context(), cfg, u)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("open by %s: %v", u.Name, time.Since(start))
	return ns
}

func gone(t *testing.T, cfg Config, helper process.ID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := helper.Wait(ctx); err != nil {
		t.Errorf("the helper lives: %v", err)
	}
	if _, err := os.Lstat(cfg.NetNS); err == nil {
		t.Error("the namespace is still bound")
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), cfg.NetNS) {
		t.Errorf("a mount is left: %v", err)
	}
}

func TestInsideLife(t *testing.T) {
	cfg := config(t)
	first, second := container(t, cfg, "first"), container(t, cfg, "second")
	a := open(t, cfg, first)
	b := open(t, cfg, second)
	if !a.Started || b.Started || a.Link.Process != b.Link.Process || a.Path() != b.Path() {
		t.Fatalf("not one namespace: %+v, %+v", a, b)
	}
	if len(b.Link.Addresses) == 0 || len(b.Link.DNS) == 0 {
		t.Errorf("what pasta said was not kept: %+v", b.Link)
	}
	if err := a.Do(func() error {
		addrs, err := netns.LocalAddresses()
		if err == nil && len(addrs) == 0 {
			err = errors.New("no address in the namespace")
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if err := Release(t.Context(), cfg, first.Name); err != nil {
		t.Fatal(err)
	}
	if !a.Link.Process.Alive() {
		t.Fatal("ended under its second user")
	}
	if err := Release(t.Context(), cfg, second.Name); err != nil {
		t.Fatal(err)
	}
	gone(t, cfg, a.Link.Process)
	if err := Release(t.Context(), cfg, second.Name); err != nil {
		t.Errorf("second release: %v", err)
	}
}

func TestInsideMend(t *testing.T) {
	cfg := config(t)
	u := container(t, cfg, "one")
	a := open(t, cfg, u)
	if err := link.Stop(t.Context(), a.Link.Process); err != nil {
		t.Fatal(err)
	}
	b, err := Mend(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !b.Started || !b.Link.Process.Alive() || len(b.Link.Addresses) == 0 {
		t.Errorf("not mended: %+v", b)
	}
	// The host asks a stub of its own now: pasta must forward to that.
	resolv := filepath.Join(filepath.Dir(cfg.Dir), "resolv.conf")
	for server, other := range map[string]bool{"192.0.2.1": false, "127.0.0.53": true} {
		if err := os.WriteFile(resolv, []byte("nameserver "+server+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		followed := cfg
		followed.Resolv = resolv
		c, err := Mend(t.Context(), followed)
		if err != nil || c.Started != other || !c.Link.Process.Alive() {
			t.Errorf("name server %s: %+v, %v", server, c, err)
		}
		b = c
	}
	if again, err := Mend(t.Context(), cfg); err != nil || again.Started || again.Link.Process != b.Link.Process {
		t.Errorf("mended twice: %+v, %v", again, err)
	}
}

// A container that was removed without a word, as after a kill, uses nothing.
func TestInsideSweep(t *testing.T) {
	cfg := config(t)
	u := container(t, cfg, "killed")
	a := open(t, cfg, u)
	if err := Sweep(t.Context(), cfg); err != nil || !a.Link.Process.Alive() {
		t.Fatalf("swept under its user: %v", err)
	}
	if err := netns.Remove(u.NetNS); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	gone(t, cfg, a.Link.Process)
}

func TestInsideMany(t *testing.T) {
	cfg := config(t)
	var wg sync.WaitGroup
	for i := range 8 {
		u := container(t, cfg, "c"+string(rune('a'+i)))
		wg.Go(func() {
			for range 4 {
				ns, err := Open(t.Context(), cfg, u)
				if err != nil {
					t.Error(err)
					return
				}
				if err := ns.Do(func() error { return nil }); err != nil {
					t.Errorf("the namespace ended under %s: %v", u.Name, err)
				}
				if err := Release(t.Context(), cfg, u.Name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if left := link.Find(cfg.NetNS); len(left) > 0 {
		for _, id := range left {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := id.Wait(ctx); err != nil {
				t.Errorf("helper %d lives", id.PID)
			}
			cancel()
		}
	}
	gone(t, cfg, process.ID{})
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, NetNS: filepath.Join(dir, "ns"), Rootless: true}
	self := process.Self()
	for name, u := range map[string]User{
		"no name": {Process: self}, "path": {Name: "../x", Process: self}, "nothing": {Name: "x"},
		"both": {Name: "x", Process: self, NetNS: "/proc/self/ns/net"}, "gone": {Name: "x", NetNS: filepath.Join(dir, "none")},
	} {
		if _, err := Open(t.Context(), cfg, u); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func TestMarks(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	for _, u := range []User{
		{Name: "a", NetNS: "/proc/self/ns/net"},
		{Name: "b", Process: process.Self()},
		{Name: "c", NetNS: filepath.Join(cfg.Dir, "gone")},
		{Name: "d", Process: process.ID{PID: os.Getpid(), Start: 1}},
	} {
		if err := u.mark(cfg); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(Users(cfg), " "); got != "a b" {
		t.Errorf("users %q, want those who exist", got)
	}
}

func TestRealRoot(t *testing.T) {
	cfg := Config{Dir: filepath.Join(t.TempDir(), "none")}
	ns, err := Open(t.Context(), cfg, User{})
	if err != nil || ns.Path() != Host {
		t.Fatalf("%+v, %v", ns, err)
	}
	ran := false
	if err := ns.Do(func() error { ran = true; return nil }); err != nil || !ran {
		t.Errorf("Do: %v", err)
	}
	if err := Release(t.Context(), cfg, "x"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(cfg.Dir); err == nil {
		t.Error("something was made")
	}
}

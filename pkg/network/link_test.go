package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netns"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// insideEnv tells the test program that it was started again in namespaces of
// its own, and which: user, root or noroute.
const insideEnv = "POD_TEST_NETWORK_INSIDE"

// again runs test functions in new namespaces.
func again(t *testing.T, kind, run string) {
	t.Helper()
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	switch kind {
	case "root":
		if os.Geteuid() != 0 {
			t.Skip("needs root")
		}
	case "noroute":
		attr.Cloneflags |= syscall.CLONE_NEWNET
		fallthrough
	default:
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+run+"$", "-test.v", "-test.timeout=100s")
	cmd.Env = append(os.Environ(), insideEnv+"="+kind)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	if err != nil {
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			t.Skipf("this host refuses namespaces: %v", err)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func TestLinksInUserNamespace(t *testing.T) { again(t, "user", "TestInsideLink.*") }
func TestLinksAsRoot(t *testing.T)          { again(t, "root", "TestInsideLink.*") }
func TestLinksWithoutRoute(t *testing.T)    { again(t, "noroute", "TestInsideNoRoute") }

// inside skips unless the program was started by again.
func inside(t *testing.T) {
	t.Helper()
	if os.Getenv(insideEnv) == "" {
		t.Skip("runs in namespaces of its own, started by the tests above")
	}
	if err := link.CheckTun(); err != nil {
		t.Skip(err)
	}
}

func request(t *testing.T, mode string, ports ...specgen.PortMapping) Request {
	t.Helper()
	pastaPath, _ := exec.LookPath("pasta")
	slirpPath, _ := exec.LookPath("slirp4netns")
	if driver, _, _ := Mode(specgen.Network{Mode: mode}, true, ""); driver == Pasta && pastaPath == "" || driver == Slirp && slirpPath == "" {
		t.Skipf("%s is not installed", driver)
	}
	dir, err := os.MkdirTemp("", "podnet") //nolint:usetesting // shorter than t.TempDir: a socket goes in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return Request{
		ID: "c0ffee" + strconv.Itoa(os.Getpid()), Spec: specgen.Network{Mode: mode, Ports: ports},
		Rootless: os.Getenv(insideEnv) != "root", NetNSDir: filepath.Join(dir, "netns"), RunDir: dir,
		Helpers: Helper{Pasta: pastaPath, Slirp4netns: slirpPath},
	}
}

func up(t *testing.T, req Request) *Result {
	t.Helper()
	start := time.Now()
	p, err := Begin(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Since(start)
	r, err := p.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: begin %v, ready %v: %+v", r.Driver, begun, time.Since(start), *r)
	t.Cleanup(func() { _ = Teardown(context.Background(), *r) })
	return r
}

// down tears down and looks for remains.
func down(t *testing.T, req Request, r *Result) {
	t.Helper()
	start := time.Now()
	if err := Teardown(t.Context(), *r); err != nil {
		t.Error(err)
	}
	t.Logf("teardown %v", time.Since(start))
	if _, err := ResolvePorts(r.Ports); err != nil {
		t.Errorf("port not free again: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := r.Helper.Wait(ctx); err != nil {
		t.Errorf("the helper lives: %v", err)
	}
	clean(t, req)
	if err := Teardown(t.Context(), *r); err != nil {
		t.Errorf("second teardown: %v", err)
	}
}

func clean(t *testing.T, req Request) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), req.NetNSDir) {
		t.Error("a mount is left")
	}
	for _, dir := range []string{req.NetNSDir, req.RunDir} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "netns" && e.Name() != "pasta-features.json" {
				t.Errorf("left: %s", e.Name())
			}
		}
	}
	if left := link.Find(filepath.Join(req.NetNSDir, req.ID)); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
}

// serve answers in the container: TCP says hello, UDP echoes.
func serve(t *testing.T, path string, port uint16) {
	t.Helper()
	var l net.Listener
	var u net.PacketConn
	err := netns.Do(path, func() (err error) {
		addr := "0.0.0.0:" + strconv.Itoa(int(port))
		if l, err = net.Listen("tcp4", addr); err == nil { //nolint:noctx // loopback
			u, err = net.ListenPacket("udp4", addr) //nolint:noctx // loopback
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteTo(buf[:n], from)
		}
	}()
}

// ask connects from the host.
func ask(t *testing.T, proto, addr string, port uint16) {
	t.Helper()
	c, err := net.DialTimeout(proto, net.JoinHostPort(addr, strconv.Itoa(int(port))), 5*time.Second)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if proto == "udp" {
		_, _ = c.Write([]byte("hello"))
	}
	buf := make([]byte, 10)
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("%s to %s:%d: %q, %v", proto, addr, port, buf[:n], err)
	}
}

func TestInsideLinkPorts(t *testing.T) {
	inside(t)
	for _, mode := range []string{"", "slirp4netns"} {
		t.Run("mode "+mode, func(t *testing.T) {
			req := request(t, mode,
				specgen.PortMapping{HostIP: "127.0.0.1", ContainerPort: 80, Range: 2, Protocol: "tcp"},
				specgen.PortMapping{HostIP: "127.0.0.1", ContainerPort: 80, Range: 1, Protocol: "udp"})
			r := up(t, req)
			serve(t, r.NetNS, 80)
			serve(t, r.NetNS, 81)
			ask(t, "tcp", "127.0.0.1", r.Ports[0].HostPort)
			ask(t, "tcp", "127.0.0.1", r.Ports[0].HostPort+1)
			if len(r.Warnings) == 0 { // the helper's own limits are warned of
				ask(t, "udp", "127.0.0.1", r.Ports[1].HostPort)
			}
			if c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.2", strconv.Itoa(int(r.Ports[0].HostPort))), time.Second); err == nil {
				c.Close()
				t.Error("published on another address too")
			}
			if len(r.Addresses) == 0 || len(r.DNS) == 0 {
				t.Errorf("incomplete: %+v", r)
			}
			if sid, err := unix.Getsid(r.Helper.PID); err != nil || sid != r.Helper.PID {
				t.Errorf("session %d of helper %d: %v", sid, r.Helper.PID, err)
			}
			fixed := slices.Clone(r.Ports)
			for i := range fixed {
				fixed[i].Random = false // as if the user had named them
			}
			if _, err := Begin(t.Context(), Request{ID: "other", Spec: specgen.Network{Mode: mode, Ports: fixed}, NetNSDir: req.NetNSDir, RunDir: req.RunDir, Helpers: req.Helpers}); !errors.Is(err, ErrPortInUse) {
				t.Errorf("port in use: %v", err)
			}
			down(t, req, r)
		})
	}
}

func TestInsideLinkUndone(t *testing.T) {
	inside(t)
	for _, mode := range []string{"", "slirp4netns"} {
		t.Run("killed "+mode, func(t *testing.T) {
			req := request(t, mode)
			r := up(t, req)
			if err := r.Helper.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			down(t, req, r)
		})
		t.Run("unrecorded "+mode, func(t *testing.T) {
			req := request(t, mode)
			r := up(t, req)
			if err := Undo(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			clean(t, req)
			if r.Helper.Alive() {
				t.Error("the helper lives")
			}
			if err := Undo(t.Context(), req); err != nil {
				t.Errorf("second undo: %v", err)
			}
		})
		t.Run("abort "+mode, func(t *testing.T) {
			req := request(t, mode)
			p, err := Begin(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Abort(t.Context()); err != nil {
				t.Error(err)
			}
			clean(t, req)
		})
		t.Run("cancelled "+mode, func(t *testing.T) {
			req := request(t, mode)
			p, err := Begin(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			clean(t, req)
		})
		t.Run("bad option "+mode, func(t *testing.T) {
			name, _, _ := Mode(specgen.Network{Mode: mode}, true, "")
			req := request(t, name+":--no-such=option")
			p, err := Begin(t.Context(), req)
			if err == nil {
				_, err = p.Wait(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), "no-such") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			clean(t, req)
		})
	}
}

// The helper inherits nothing of pod's.
func TestInsideLinkPipe(t *testing.T) {
	inside(t)
	req := request(t, "")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	res := up(t, req)
	w.Close()
	_ = r.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := r.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the helper holds our pipe")
	}
	down(t, req, res)
}

func TestInsideLinkNone(t *testing.T) {
	inside(t)
	req := request(t, "none", specgen.PortMapping{HostPort: 1, ContainerPort: 1})
	r := up(t, req)
	serve(t, r.NetNS, 80)
	err := netns.Do(r.NetNS, func() error { ask(t, "tcp", "127.0.0.1", 80); return nil })
	if err != nil || len(r.Warnings) != 1 || len(r.Ports) != 0 {
		t.Errorf("%v: %+v", err, r)
	}
	join := request(t, "ns:"+r.NetNS)
	if j := up(t, join); j.NetNS != r.NetNS || j.Own {
		t.Errorf("joined: %+v", j)
	} else if err := Teardown(t.Context(), *j); err != nil || netns.Check(r.NetNS) != nil {
		t.Errorf("the joiner's teardown took the namespace: %v", err)
	}
	down(t, req, r)
	if _, err := Begin(t.Context(), request(t, "ns:"+os.Args[0])); !errors.Is(err, netns.ErrNotNetNS) {
		t.Errorf("a plain file: %v", err)
	}
}

func TestInsideLinkSixteenAtOnce(t *testing.T) {
	inside(t)
	req := request(t, "", specgen.PortMapping{HostIP: "127.0.0.1", ContainerPort: 80, Protocol: "tcp"})
	results := make([]*Result, 16)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range results {
		wg.Go(func() {
			req := req
			req.ID += strconv.Itoa(i)
			p, err := Begin(t.Context(), req)
			if err != nil {
				t.Error(err)
				return
			}
			if results[i], err = p.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("16 ready after %v", time.Since(start))
	for i, r := range results {
		if r == nil {
			continue
		}
		if i == 0 {
			serve(t, r.NetNS, 80)
			ask(t, "tcp", "127.0.0.1", r.Ports[0].HostPort)
		}
		if err := Teardown(t.Context(), *r); err != nil {
			t.Error(err)
		}
	}
	clean(t, req)
}

// TestInsideNoRoute: the host has loopback only.
func TestInsideNoRoute(t *testing.T) {
	inside(t)
	if out, err := exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("ip: %v %s", err, out)
	}
	t.Run("published", func(t *testing.T) {
		req := request(t, "", specgen.PortMapping{HostIP: "127.0.0.1", ContainerPort: 80, Protocol: "tcp"})
		r := up(t, req)
		serve(t, r.NetNS, 80)
		ask(t, "tcp", "127.0.0.1", r.Ports[0].HostPort)
		down(t, req, r)
	})
	t.Run("pasta alone", func(t *testing.T) {
		req := request(t, "")
		req.Helpers.Slirp4netns = ""
		r := up(t, req)
		if r.Driver == None && len(r.Warnings) != 1 {
			t.Errorf("no warning: %+v", r)
		}
		down(t, req, r)
		req.Spec.Ports = []specgen.PortMapping{{HostIP: "127.0.0.1", ContainerPort: 80}}
		p, err := Begin(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := p.Wait(t.Context()); err == nil {
			down(t, req, res) // newer pasta works without a route
		} else if !strings.Contains(err.Error(), "install slirp4netns") {
			t.Errorf("error %v", err)
		}
		clean(t, req)
	})
}

func TestOtherHostAddress(t *testing.T) {
	addrs, err := netns.LocalAddresses()
	if err != nil {
		t.Fatal(err)
	}
	if got := otherHostAddress(addrs); got != "" {
		t.Errorf("%s is the container's own", got)
	}
	if got := otherHostAddress([]netip.Prefix{netip.MustParsePrefix("192.0.2.200/24")}); len(addrs) > 0 && got == "" {
		t.Error("nothing found")
	}
}

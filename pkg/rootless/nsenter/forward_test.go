package nsenter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/rootless-pod/pod/pkg/network/forward"
	"github.com/rootless-pod/pod/pkg/network/netns"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// insideEnv tells the test program that it is in namespaces of its own.
const insideEnv = "POD_TEST_FORWARD_INSIDE"

// TestForward runs the tests below in a user, mount and network namespace.
func TestForward(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInsideForward", "-test.v", "-test.timeout=100s")
	cmd.Env = append(os.Environ(), insideEnv+"=1", "_CONTAINERS_USERNS_CONFIGURED=")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
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

// published is a "container" with a forwarder; its server runs in inside.
type published struct {
	path  string
	files []*os.File
}

// publish makes a namespace whose address is 10.7.0.2 and starts the forwarder for
// ports of 127.0.0.1 that lead to the same port inside.
func publish(t *testing.T, protocols ...string) (*published, []uint16) {
	t.Helper()
	if os.Getenv(insideEnv) == "" {
		t.Skip("runs in namespaces of its own, started by TestForward")
	}
	if lo, err := netlink.LinkByName("lo"); err != nil || netlink.LinkSetUp(lo) != nil {
		t.Fatal("no loopback")
	}
	p := &published{path: filepath.Join(t.TempDir(), "ns")}
	address := netip.MustParsePrefix("10.7.0.2/24")
	err := netns.Create(p.path, func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(address.String())
		if err != nil {
			return err
		}
		return netlink.AddrAdd(lo, addr)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netns.Remove(p.path) })
	var numbers []uint16
	opts := forward.Options{NetNS: p.path, Addresses: []netip.Prefix{address}, Gateways: []netip.Addr{netip.MustParseAddr("10.7.0.1")}}
	for _, protocol := range protocols {
		file, number := listen(t, protocol)
		p.files = append(p.files, file)
		numbers = append(numbers, number)
		opts.Ports = append(opts.Ports, specgen.PortMapping{HostPort: number, ContainerPort: number, Range: 1, Protocol: protocol})
	}
	opts.Sockets = p.files
	f, err := forward.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Signal(syscall.SIGKILL); _ = id.Wait(context.Background()) })
	for _, file := range p.files {
		_ = file.Close()
	}
	return p, numbers
}

func listen(t *testing.T, protocol string) (*os.File, uint16) {
	t.Helper()
	type filer interface{ File() (*os.File, error) }
	var socket interface{ filer }
	var text string
	if protocol == "tcp" {
		l, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // loopback
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		socket, text = l.(filer), l.Addr().String() //nolint:forcetypeassert // a TCP listener
	} else {
		u, err := net.ListenPacket("udp4", "127.0.0.1:0") //nolint:noctx // loopback
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		socket, text = u.(filer), u.LocalAddr().String() //nolint:forcetypeassert // a UDP socket
	}
	file, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	return file, netip.MustParseAddrPort(text).Port()
}

// serve listens inside; what it does with a connection is up to the test.
func (p *published) serve(t *testing.T, port uint16, handle func(net.Conn)) {
	t.Helper()
	var l net.Listener
	err := netns.Do(p.path, func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprintf(":%d", port)) //nolint:noctx // loopback
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); handle(c) }()
		}
	}()
}

func dial(t *testing.T, port uint16) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)) //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn) //nolint:forcetypeassert // dialed as such
}

// TestInsideForwardEcho sends much both ways at once, half-closes, and gets all of
// it back, over many connections.
func TestInsideForwardEcho(t *testing.T) {
	p, ports := publish(t, "tcp")
	p.serve(t, ports[0], func(c net.Conn) { _, _ = io.Copy(c, c) })
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			sent := make([]byte, 1<<20+i)
			source := rand.NewChaCha8([32]byte{byte(i)})
			_, _ = source.Read(sent)
			c := dial(t, ports[0])
			go func() { _, _ = c.Write(sent); _ = c.CloseWrite() }()
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("connection %d: %d of %d bytes, %v", i, len(got), len(sent), err)
			}
		})
	}
	all.Wait()
}

// TestInsideForwardSlowReader: what one side does not read stops the other, and the
// rest of the world goes on.
func TestInsideForwardSlowReader(t *testing.T) {
	p, ports := publish(t, "tcp")
	p.serve(t, ports[0], func(c net.Conn) {
		if first := make([]byte, 1); func() bool { n, _ := c.Read(first); return n == 1 && first[0] == 'e' }() {
			_, _ = c.Write([]byte("echo"))
			return
		}
		block := make([]byte, 1<<20)
		for range 64 {
			if _, err := c.Write(block); err != nil {
				return
			}
		}
	})
	slow := dial(t, ports[0])
	_, _ = slow.Write([]byte("s"))
	quick := dial(t, ports[0])
	_, _ = quick.Write([]byte("e"))
	if got, err := io.ReadAll(quick); err != nil || string(got) != "echo" {
		t.Errorf("beside a stopped connection: %q, %v", got, err)
	}
	n, err := io.Copy(io.Discard, slow)
	if err != nil || n != 64<<20 {
		t.Errorf("the slow one got %d, %v", n, err)
	}
}

// TestInsideForwardRefused: a port nobody listens on looks like one, and a
// connection that the container breaks off breaks off.
func TestInsideForwardRefused(t *testing.T) {
	p, ports := publish(t, "tcp", "tcp")
	// The reset may be there before Dial has looked at the connection.
	refused, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0])) //nolint:noctx // loopback
	if err == nil {
		_ = refused.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = refused.Read(make([]byte, 1))
		_ = refused.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("nobody listens: %v", err)
	}
	p.serve(t, ports[1], func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0) //nolint:forcetypeassert // accepted as such
	})
	c := dial(t, ports[1])
	_, _ = c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("broken off: %v", err)
	}
}

// TestInsideForwardManyDatagrams: each client gets its own answers, more clients
// than flows are kept for.
func TestInsideForwardManyDatagrams(t *testing.T) {
	p, ports := publish(t, "udp")
	var u net.PacketConn
	err := netns.Do(p.path, func() (err error) {
		u, err = net.ListenPacket("udp4", fmt.Sprintf(":%d", ports[0])) //nolint:noctx // loopback
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	go func() {
		buf := make([]byte, 70000)
		for {
			n, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			answer := append([]byte(strings.Split(from.String(), ":")[0]+" "), buf[:n]...)
			_, _ = u.WriteTo(answer, from)
		}
	}()
	for i := range 2500 {
		c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", ports[0])) //nolint:noctx // loopback
		if err != nil {
			t.Fatal(err)
		}
		question, answer := fmt.Sprintf("client %d", i), ""
		for try := 0; try < 5 && answer == ""; try++ { // datagrams may be lost
			_, _ = c.Write([]byte(question))
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			buf := make([]byte, 100)
			n, _ := c.Read(buf)
			answer = string(buf[:n])
		}
		if answer != "10.7.0.1 "+question {
			t.Fatalf("client %d got %q", i, answer)
		}
		_ = c.Close()
	}
}

// Package slirp4netns connects a network namespace with slirp4netns(1), for
// hosts without pasta or without the route pasta wants.
package slirp4netns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Options say what to connect and how.
type Options struct {
	// Path of the program.
	Path string
	// NetNS is the file of the namespace.
	NetNS string
	// Ports to publish; host ports are chosen already.
	Ports []specgen.PortMapping
	// Extra are options of containers.conf and then of the command line.
	Extra []string
	// Socket is a path for the control socket, removed again by Wait.
	Socket string
}

// Slirp is a started slirp4netns that may not be ready yet.
type Slirp struct {
	opts     Options
	settings settings
	program  *link.Program
	ready    *os.File
	id       process.ID
}

// Start runs slirp4netns and does not wait for it.
func Start(ctx context.Context, opts Options) (*Slirp, error) {
	if opts.Path == "" {
		return nil, errors.New("slirp4netns is not installed: install the package slirp4netns, or use --network pasta, none or host (pod doctor --check slirp4netns explains)")
	}
	if err := link.CheckTun(); err != nil {
		return nil, fmt.Errorf("slirp4netns: %w", err)
	}
	s := &Slirp{opts: opts}
	var err error
	if s.settings, err = parse(opts.Extra); err != nil {
		return nil, err
	}
	for _, p := range opts.Ports {
		if _, err := forward(p, 0); err != nil {
			return nil, err
		}
	}
	if len(opts.Ports) == 0 {
		s.opts.Socket = ""
	}
	ready, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("slirp4netns: %w", err)
	}
	defer w.Close()
	// Its sandbox changes the mounts of its own mount namespace, so it needs one;
	// sharing ours it would leave its tmpfs there (slirp4netns issue 153).
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	s.program, err = link.Spawn(opts.Path, s.settings.args(opts.NetNS, s.opts.Socket), attr, w)
	if err != nil {
		return nil, errors.Join(err, ready.Close())
	}
	s.ready = ready
	if s.id, err = process.Of(s.program.Process.Pid); err != nil {
		return nil, errors.Join(fmt.Errorf("slirp4netns: %w", err), s.Kill(ctx))
	}
	return s, nil
}

// Wait returns when the namespace is configured and the ports are published.
func (s *Slirp) Wait(ctx context.Context) (link.Link, error) {
	l := link.Link{Process: s.id}
	if err := s.wait(ctx); err != nil {
		return l, errors.Join(fmt.Errorf("slirp4netns: %w", err), s.Kill(ctx))
	}
	defer func() { _ = s.program.Close() }()
	l.Addresses = []netip.Prefix{netip.PrefixFrom(s.settings.host(100), s.settings.subnet.Bits())}
	l.DNS = []string{s.settings.host(3).String()}
	if s.settings.hostLoopback {
		l.HostAddress = s.settings.host(2).String()
	}
	l.Warnings = s.warnings()
	return l, s.program.Process.Release()
}

func (s *Slirp) wait(ctx context.Context) error {
	defer s.ready.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.ready.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var one [1]byte
	if n, err := s.ready.Read(one[:]); n == 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_ = s.program.Wait() // it closed the pipe by ending: its messages are complete
		if text := strings.Join(s.program.Messages(), "; "); text != "" {
			return errors.New(text)
		}
		return fmt.Errorf("ended before it was ready: %w", err)
	}
	if ctx.Err() != nil || s.opts.Socket == "" {
		return ctx.Err()
	}
	// The socket is bound before the ready message is sent.
	defer func() { _ = os.Remove(s.opts.Socket) }()
	for _, p := range s.opts.Ports {
		for i := range max(p.Range, 1) {
			if err := s.publish(ctx, p, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// Kill ends it.
func (s *Slirp) Kill(ctx context.Context) error {
	s.program.KillAll()
	err := link.StopAll(ctx, s.opts.NetNS) // a child of its start may still be ending
	_ = s.ready.Close()
	if s.opts.Socket != "" {
		_ = os.Remove(s.opts.Socket)
	}
	return errors.Join(err, s.program.Close())
}

// hostFwd is slirp4netns' add_hostfwd command.
type hostFwd struct {
	Execute   string        `json:"execute"`
	Arguments hostFwdTarget `json:"arguments"`
}

type hostFwdTarget struct {
	Proto     string `json:"proto"`
	HostAddr  string `json:"host_addr"`
	HostPort  uint16 `json:"host_port"`
	GuestPort uint16 `json:"guest_port"`
}

// forward makes the command for the i-th port of a mapping.
func forward(p specgen.PortMapping, i uint16) (hostFwd, error) {
	t := hostFwdTarget{Proto: p.Protocol, HostAddr: p.HostIP, HostPort: p.HostPort + i, GuestPort: p.ContainerPort + i}
	switch t.Proto {
	case "":
		t.Proto = "tcp"
	case "tcp", "udp":
	default:
		return hostFwd{}, fmt.Errorf("publish %d/%s: slirp4netns forwards tcp and udp only", p.ContainerPort, p.Protocol)
	}
	if t.HostAddr == "" {
		t.HostAddr = "0.0.0.0"
	}
	ip, err := netip.ParseAddr(t.HostAddr)
	if err != nil || !ip.Unmap().Is4() {
		return hostFwd{}, fmt.Errorf("publish %s port %d: slirp4netns listens on IPv4 addresses only, use --network pasta", p.HostIP, p.HostPort)
	}
	t.HostAddr = ip.Unmap().String()
	return hostFwd{Execute: "add_hostfwd", Arguments: t}, nil
}

// publish asks slirp4netns to listen on one port.
func (s *Slirp) publish(ctx context.Context, p specgen.PortMapping, i uint16) error {
	cmd, err := forward(p, i)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", s.opts.Socket)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if err := json.NewEncoder(conn).Encode(cmd); err != nil {
		return fmt.Errorf("publish port %d: %w", cmd.Arguments.HostPort, err)
	}
	// The end of our side is the end of the request.
	if unix, ok := conn.(*net.UnixConn); ok {
		if err := unix.CloseWrite(); err != nil {
			return fmt.Errorf("publish port %d: %w", cmd.Arguments.HostPort, err)
		}
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 64<<10))
	if err != nil {
		return fmt.Errorf("publish port %d: %w", cmd.Arguments.HostPort, err)
	}
	var reply struct {
		Error *struct {
			Desc string `json:"desc"`
		} `json:"error"`
	}
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(&reply); err != nil {
		return fmt.Errorf("publish port %d: unreadable answer: %w", cmd.Arguments.HostPort, err)
	}
	if reply.Error != nil {
		return fmt.Errorf("%w: port %d: %s", link.ErrPort, cmd.Arguments.HostPort, reply.Error.Desc)
	}
	return nil
}

// warnings tells of a limit seen with version 1.2: with its default of hiding the
// host's loopback it drops the answers to UDP clients on the host.
func (s *Slirp) warnings() []string {
	for _, p := range s.opts.Ports {
		if p.Protocol == "udp" && !s.settings.hostLoopback {
			return []string{"slirp4netns drops answers to UDP clients on this host: use --network pasta, or slirp4netns:allow_host_loopback=true"}
		}
	}
	return nil
}

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// ErrPortInUse says that a host port is taken.
var ErrPortInUse = errors.New("already in use")

// PortError says which port is taken. It is ErrPortInUse.
type PortError struct {
	Port specgen.PortMapping
	// By is who has it, if that is known, and Remedy what to do about it.
	By, Remedy string
}

// Error is for the user.
func (e *PortError) Error() string {
	by, remedy := "", "choose another port or stop what listens there"
	if e.By != "" {
		by = " by " + e.By
	}
	if e.Remedy != "" {
		remedy = e.Remedy
	}
	return fmt.Sprintf("port %d/%s is %v on %s%s: %s", e.Port.HostPort, e.Port.Protocol, ErrPortInUse, onAddress(e.Port), by, remedy)
}

// Unwrap makes it ErrPortInUse.
func (e *PortError) Unwrap() error { return ErrPortInUse }

func onAddress(p specgen.PortMapping) string {
	if p.HostIP == "" {
		return "all addresses"
	}
	return p.HostIP
}

const portStart = "/proc/sys/net/ipv4/ip_unprivileged_port_start"

// ResolvePorts checks that every host port can be bound now, in the network
// namespace of the caller, and replaces port 0 by a free one. The result is the
// caller's own copy. The ports are free again when it returns: whoever starts
// the helper must be ready to be overtaken.
func ResolvePorts(ports []specgen.PortMapping) ([]specgen.PortMapping, error) {
	resolved, held, err := holdPorts(ports)
	held.release()
	return resolved, err
}

// holdPorts does the same and keeps the sockets, one for each port in order, so
// that nobody can overtake.
func holdPorts(ports []specgen.PortMapping) (resolved []specgen.PortMapping, sockets held, err error) {
	defer func() {
		if err != nil {
			sockets.release()
			resolved, sockets = nil, nil
		}
	}()
	for _, p := range ports {
		p.Range = max(p.Range, 1)
		if p.Protocol == "" {
			p.Protocol = "tcp"
		}
		if last := int(p.HostPort) + int(p.Range) - 1; last > 65535 {
			return resolved, sockets, fmt.Errorf("publish %d-%d: ports end at 65535", p.HostPort, last)
		}
		if last := int(p.ContainerPort) + int(p.Range) - 1; last > 65535 {
			return resolved, sockets, fmt.Errorf("publish to container ports %d-%d: ports end at 65535", p.ContainerPort, last)
		}
		if err := sockets.take(&p); err != nil {
			return resolved, sockets, err
		}
		resolved = append(resolved, p)
	}
	return resolved, sockets, nil
}

// held are the sockets of one check: mappings of one container must not collide
// with each other either.
type held []int

// files gives the sockets over to who must close them.
func (h *held) files() []*os.File {
	files := make([]*os.File, 0, len(*h))
	for _, fd := range *h {
		files = append(files, os.NewFile(uintptr(fd), "port")) //nolint:gosec // a descriptor
	}
	*h = nil
	return files
}

func (h *held) release() {
	for _, fd := range *h {
		_ = unix.Close(fd)
	}
	*h = nil
}

// take binds a mapping. A random port is kept from start to start as long as it is
// free.
func (h *held) take(p *specgen.PortMapping) error {
	if p.HostPort != 0 {
		before := len(*h)
		err := h.all(*p)
		if err == nil || !p.Random || !errors.Is(err, ErrPortInUse) {
			return err
		}
		tail := (*h)[before:]
		tail.release()
		*h = (*h)[:before]
		p.HostPort = 0
	}
	p.Random = true
	return h.random(p)
}

// all binds every port of a mapping.
func (h *held) all(p specgen.PortMapping) error {
	for i := range p.Range {
		if _, err := h.bind(p, p.HostPort+i); err != nil {
			return explain(p, p.HostPort+i, err)
		}
	}
	return nil
}

// random chooses consecutive free ports: the kernel picks the first.
func (h *held) random(p *specgen.PortMapping) error {
	var err error
	for range 64 {
		before := len(*h)
		var first uint16
		if first, err = h.bind(*p, 0); err != nil {
			return explain(*p, 0, err)
		}
		if int(first)+int(p.Range)-1 <= 65535 {
			for i := uint16(1); i < p.Range && err == nil; i++ {
				_, err = h.bind(*p, first+i)
			}
			if err == nil {
				p.HostPort = first
				return nil
			}
		}
		tail := (*h)[before:]
		tail.release()
		*h = (*h)[:before]
		err = fmt.Errorf("publish %d/%s: found no %d free host ports in a row", p.ContainerPort, p.Protocol, p.Range)
	}
	return err
}

// bind binds one port and keeps it. TCP needs SO_REUSEADDR, else a connection
// of an ended container would count as use; UDP must not have it, since two UDP
// sockets that both have it share a port silently.
func (h *held) bind(p specgen.PortMapping, port uint16) (uint16, error) {
	kind, proto := unix.SOCK_STREAM, unix.IPPROTO_TCP
	switch p.Protocol {
	case "tcp":
	case "udp":
		kind, proto = unix.SOCK_DGRAM, unix.IPPROTO_UDP
	default:
		return 0, errProtocol
	}
	ip := netip.IPv6Unspecified()
	if p.HostIP != "" {
		var err error
		if ip, err = netip.ParseAddr(strings.Trim(p.HostIP, "[]")); err != nil {
			return 0, errAddress
		}
		ip = ip.Unmap()
	}
	family, addr := sockaddr(ip, port)
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, proto)
	if errors.Is(err, unix.EAFNOSUPPORT) && p.HostIP == "" {
		family, addr = sockaddr(netip.IPv4Unspecified(), port)
		fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, proto)
	}
	if err != nil {
		return 0, err
	}
	if family == unix.AF_INET6 {
		// Empty is both families; "::" is IPv6 alone.
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, boolInt(p.HostIP != ""))
	}
	if err == nil && kind == unix.SOCK_STREAM && port != 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = unix.Bind(fd, addr)
	}
	if err == nil && kind == unix.SOCK_STREAM {
		// Two bound sockets may coexist, two listening ones may not. The backlog
		// of 0 and the microseconds it lasts keep clients away.
		err = unix.Listen(fd, 0)
	}
	if err == nil && port == 0 {
		port, err = boundPort(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	*h = append(*h, fd)
	return port, nil
}

var (
	errProtocol = errors.New("only tcp and udp can be published")
	errAddress  = errors.New("not an IP address")
)

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func sockaddr(ip netip.Addr, port uint16) (int, unix.Sockaddr) {
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(port), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(port), Addr: ip.As16()}
}

func boundPort(fd int) (uint16, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(a.Port), nil //nolint:gosec // a port
	case *unix.SockaddrInet6:
		return uint16(a.Port), nil //nolint:gosec // a port
	}
	return 0, unix.EAFNOSUPPORT
}

// explain says what a user can do about a port that cannot be bound.
func explain(p specgen.PortMapping, port uint16, err error) error {
	where := onAddress(p)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		one := p
		one.HostPort, one.Range = port, 1
		return &PortError{Port: one}
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("port %d/%s needs privilege: ports below %s are for root; choose a higher one, or as root run `sysctl net.ipv4.ip_unprivileged_port_start=%d` (pod doctor --check ports explains)",
			port, p.Protocol, unprivilegedStart(), port)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("publish %s port %d: this host has no address %s", p.HostIP, port, p.HostIP)
	case errors.Is(err, errProtocol):
		return fmt.Errorf("publish %d/%s: %w", p.ContainerPort, p.Protocol, err)
	case errors.Is(err, errAddress):
		return fmt.Errorf("publish port %d: host address %q: %w", port, p.HostIP, err)
	default:
		return fmt.Errorf("bind port %d/%s on %s: %w", port, p.Protocol, where, err)
	}
}

func unprivilegedStart() string {
	data, err := os.ReadFile(portStart)
	if err != nil {
		return strconv.Itoa(1024)
	}
	return strings.TrimSpace(string(data))
}

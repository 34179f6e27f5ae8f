// Package forward publishes ports of a container on a bridge network. Its
// listening sockets are made in the host's network namespace by whoever starts it,
// so a port that was found free cannot be taken by another; what carries the data
// is a small program without Go, in the constructor of pod's own binary
// (pkg/rootless/nsenter/forward.c), one for each container.
//
// The container sees the clients' own addresses, except those on the host's
// loopback: for them the network's gateway stands in.
package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netns"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Verb is the word on the command line that makes pod the forwarder.
const Verb = "__forward"

const (
	// mark is "pod" in letters: the mark of forwarded connections in the container's
	// namespace, and the routing table that brings them back; the next table is
	// UDP's. forward.c knows this order.
	mark = 0x706f64
	// priority of the rules: behind the kernel's local table, before all else.
	priority = 90
)

// Options say what to forward where.
type Options struct {
	// NetNS is the file of the container's namespace.
	NetNS string
	// Ports are published; each has a socket for each port of its range, in order.
	Ports []specgen.PortMapping
	// Sockets are bound in the host's namespace. They are still the caller's.
	Sockets []*os.File
	// Addresses are the container's, with the prefixes of their networks.
	Addresses []netip.Prefix
	// Gateways of those networks, where there are some.
	Gateways []netip.Addr
}

// Forwarder is a started forwarder that may not be ready yet.
type Forwarder struct {
	program *link.Program
	status  *os.File
	// Keeps says that the container sees its clients' addresses.
	Keeps bool
}

// Start readies the container's namespace and starts the forwarder.
func Start(opts Options) (*Forwarder, error) {
	inside := pick(opts.Addresses, opts.Gateways)
	if inside.address == [2]netip.Addr{} {
		return nil, errors.New("publish ports: the container has no address")
	}
	f := &Forwarder{Keeps: true}
	if err := netns.Do(opts.NetNS, func() error { return route(opts.Ports, inside) }); err != nil {
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("publish ports: %w", err)
		}
		f.Keeps = false // a kernel without policy routing
	}
	ns, err := os.Open(opts.NetNS)
	if err != nil {
		return nil, fmt.Errorf("publish ports: %w", err)
	}
	defer ns.Close()
	ready, status, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("publish ports: %w", err)
	}
	defer status.Close()
	f.status = ready
	files := append([]*os.File{ns, status}, opts.Sockets...)
	if f.program, err = link.Spawn("/proc/self/exe", arguments(opts, inside, f.Keeps), nil, files...); err != nil {
		return nil, errors.Join(err, ready.Close())
	}
	return f, nil
}

// arguments are those that forward.c reads.
func arguments(opts Options, inside inside, keeps bool) []string {
	args := []string{Verb, opts.NetNS, "0"}
	if keeps {
		args[2] = strconv.Itoa(mark)
	}
	for _, a := range append(inside.address[:], inside.standIn[:]...) {
		if a.IsValid() {
			args = append(args, a.String())
		} else {
			args = append(args, "-")
		}
	}
	for _, p := range opts.Ports {
		for i := range max(p.Range, 1) {
			args = append(args, protocol(p)+":"+strconv.Itoa(int(p.ContainerPort+i)))
		}
	}
	return args
}

func protocol(p specgen.PortMapping) string {
	if p.Protocol == "" {
		return "tcp"
	}
	return p.Protocol
}

// Wait returns when the forwarder takes connections, and who it is. The caller
// keeps the identity; the forwarder goes on when pod ends.
func (f *Forwarder) Wait(ctx context.Context) (process.ID, error) {
	defer func() { _ = f.program.Close() }() // its messages were read
	defer f.status.Close()
	stop := context.AfterFunc(ctx, func() { _ = f.status.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	id, err := process.Of(f.program.Process.Pid)
	if err == nil {
		_, err = f.status.Read(make([]byte, 1))
	}
	if err == nil {
		return id, f.program.Process.Release()
	}
	f.program.KillAll()
	if ctx.Err() != nil {
		return process.ID{}, ctx.Err()
	}
	if text := strings.Join(f.program.Messages(), "; "); text != "" {
		err = errors.New(text)
	}
	return process.ID{}, fmt.Errorf("publish ports: %w", err)
}

// inside is how the container is reached, IPv4 and IPv6, and whom it sees where a
// client's address cannot be shown.
type inside struct {
	address, standIn [2]netip.Addr
}

// pick takes the first address of each family.
func pick(addresses []netip.Prefix, gateways []netip.Addr) inside {
	var in inside
	for _, p := range addresses {
		family := 0
		if p.Addr().Is6() {
			family = 1
		}
		if in.address[family].IsValid() {
			continue
		}
		in.address[family] = p.Addr()
		for _, g := range gateways {
			if p.Contains(g) && g != p.Addr() {
				in.standIn[family] = g
				break
			}
		}
		if !in.standIn[family].IsValid() { // a network without a way out
			if in.standIn[family] = p.Masked().Addr().Next(); in.standIn[family] == p.Addr() {
				in.standIn[family] = p.Addr().Next()
			}
		}
	}
	return in
}

// route brings answers of forwarded connections back to the loopback, in the
// namespace of the calling thread. Doing it again is no error.
func route(ports []specgen.PortMapping, in inside) error {
	// A restarted container has a new namespace, so nothing is ever taken back.
	if err := os.WriteFile("/proc/sys/net/ipv4/tcp_fwmark_accept", []byte("1"), 0); err != nil {
		return fmt.Errorf("keep marks of connections: %w", err)
	}
	everything := [2]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	for i, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		if !in.address[i].IsValid() {
			continue
		}
		err := netlink.RouteReplace(&netlink.Route{
			Family: family, LinkIndex: loopback, Table: mark, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST, Dst: ipNet(everything[i]),
		})
		if err != nil {
			return fmt.Errorf("route answers of forwarded connections: %w", err)
		}
		for _, rule := range rules(family, ports) {
			if err := netlink.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("route answers of forwarded connections: %w", err)
			}
		}
	}
	return nil
}

// loopback is the index of the loopback interface in every namespace.
const loopback = 1

// rules lead what belongs to forwarded connections to the tables, those of UDP by
// the published ports: such sockets have no mark. That table holds the clients of
// the moment, so a service that talks to others from its port still can.
func rules(family int, ports []specgen.PortMapping) []*netlink.Rule {
	base := netlink.NewRule()
	base.Family, base.Priority = family, priority
	tcp := *base
	tcp.Mark, tcp.Table = mark, mark
	all := []*netlink.Rule{&tcp}
	for _, p := range ports {
		if p.Protocol != "udp" {
			continue
		}
		udp := *base
		udp.Table, udp.IPProto = mark+1, unix.IPPROTO_UDP
		udp.Sport = netlink.NewRulePortRange(p.ContainerPort, p.ContainerPort+max(p.Range, 1)-1)
		all = append(all, &udp)
	}
	return all
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

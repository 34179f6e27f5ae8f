package shape

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/specgen"
)

const (
	// maxPorts is how many published ports are told apart on the loopback.
	maxPorts = 512
	// unlimited is a rate for what is only delayed.
	unlimited = 100_000_000_000
)

// Classes of the loopback's queue: what comes in and what goes out.
const (
	classOut = 1
	classIn  = 2
)

// shapeLoopback limits the connections that come by the loopback: those of the
// host's own to published ports, which pasta takes from one loopback to the other.
// They are known by their ports; what else is on the loopback is let alone.
func shapeLoopback(link netlink.Link, s specgen.Shape, ports []specgen.PortMapping) error {
	if err := clearLink(link); err != nil || len(ports) == 0 || !s.Given() {
		return err
	}
	index := link.Attrs().Index
	if err := netlink.QdiscAdd(netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT})); err != nil {
		return explain("a rate of published ports", "htb", err)
	}
	if s.RateOut > 0 || s.Delay > 0 || s.Loss > 0 {
		if err := loopbackClass(index, classOut, s.RateOut, ports); err != nil {
			return err
		}
	}
	if s.Delay > 0 || s.Loss > 0 {
		if err := addNetem(index, netlink.MakeHandle(1, classOut), netlink.MakeHandle(20, 0), s); err != nil {
			return err
		}
	}
	if s.RateIn > 0 {
		return loopbackClass(index, classIn, s.RateIn, ports)
	}
	return nil
}

// loopbackClass makes a class and leads to it what goes from, or to, the ports.
func loopbackClass(index int, class uint16, rate uint64, ports []specgen.PortMapping) error {
	if rate == 0 {
		rate = unlimited
	}
	id := netlink.MakeHandle(1, class)
	err := netlink.ClassAdd(netlink.NewHtbClass(
		netlink.ClassAttrs{LinkIndex: index, Parent: netlink.MakeHandle(1, 0), Handle: id},
		netlink.HtbClassAttrs{Rate: rate, Buffer: uint32(min(rate/8/burstTime+headers, 1<<20)), Cbuffer: uint32(min(rate/8/burstTime+headers, 1<<20))},
	))
	if err != nil {
		return fmt.Errorf("add a class: %w", err)
	}
	count := 0
	for _, p := range ports {
		for i := range p.Range {
			if count++; count > maxPorts {
				return fmt.Errorf("more than %d published ports cannot be limited", maxPorts)
			}
			if err := loopbackFilter(index, id, class, p.ContainerPort+i); err != nil {
				return err
			}
		}
	}
	return nil
}

// loopbackFilter matches the ports behind the headers of IPv4 (20 bytes) and IPv6
// (40): the source's in the upper half of the word, the destination's in the lower.
func loopbackFilter(index int, id uint32, class, port uint16) error {
	key := netlink.TcU32Key{Mask: 0xffff0000, Val: uint32(port) << 16}
	if class == classIn {
		key = netlink.TcU32Key{Mask: 0xffff, Val: uint32(port)}
	}
	for _, family := range []struct {
		protocol uint16
		header   int32
		priority uint16
	}{{unix.ETH_P_IP, 20, 1}, {unix.ETH_P_IPV6, 40, 2}} {
		key.Off = family.header
		err := netlink.FilterAdd(&netlink.U32{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: netlink.MakeHandle(1, 0), Priority: family.priority, Protocol: family.protocol},
			ClassId:     id, Sel: &netlink.TcU32Sel{Flags: netlink.TC_U32_TERMINAL, Keys: []netlink.TcU32Key{key}},
		})
		if err != nil {
			return explain("a rate of published ports", "u32", err)
		}
	}
	return nil
}

// errNoInterface is for a namespace with nothing but loopback.
var errNoInterface = errors.New("the container has no network interface")

// Package shape limits the rate of a container's network, and makes it slow and
// lossy on request, with the kernel's traffic control. It works in the container's
// network namespace, over netlink: what leaves is queued on the interface (tbf, and
// netem for delay and loss), what comes is led to a device of the kind ifb, whose
// queue it leaves at the rate that is wanted.
package shape

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netns"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// ifbPrefix begins the names of the devices made here; the number of the interface
// follows.
const ifbPrefix = "podifb"

// Apply gives the interfaces in the namespace at path the shape, instead of what
// was there, and the loopback for connections to the published ports. After an
// error they have none, or that of a part.
func Apply(path string, s specgen.Shape, ports []specgen.PortMapping) error {
	return netns.Do(path, func() error { return apply(s, ports) })
}

// apply works in the network namespace of the thread.
func apply(s specgen.Shape, ports []specgen.PortMapping) error {
	links, err := link.List()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	shaped := 0
	for _, l := range links {
		attrs := l.Attrs()
		if attrs.Flags&net.FlagLoopback != 0 {
			if err := shapeLoopback(l, s, ports); err != nil {
				return fmt.Errorf("interface %s: %w", attrs.Name, err)
			}
			continue
		}
		if attrs.Flags&net.FlagUp == 0 || strings.HasPrefix(attrs.Name, ifbPrefix) {
			continue
		}
		if err := shapeLink(l, s); err != nil {
			return fmt.Errorf("interface %s: %w", attrs.Name, err)
		}
		shaped++
	}
	if shaped == 0 && s.Given() {
		return errNoInterface
	}
	return nil
}

func shapeLink(link netlink.Link, s specgen.Shape) error {
	if err := clearLink(link); err != nil {
		return err
	}
	index, mtu := link.Attrs().Index, link.Attrs().MTU
	parent := uint32(netlink.HANDLE_ROOT)
	if s.Delay > 0 || s.Loss > 0 {
		if err := addNetem(index, parent, netlink.MakeHandle(1, 0), s); err != nil {
			return err
		}
		parent = netlink.MakeHandle(1, 1)
	}
	if s.RateOut > 0 {
		if err := netlink.QdiscAdd(bucket(index, parent, s.RateOut, mtu)); err != nil {
			return explain("a rate", "tbf", err)
		}
	}
	if s.RateIn > 0 {
		return limitInput(link, s.RateIn)
	}
	return nil
}

// addNetem adds a queue that delays and drops. It holds what is under way: 10 000
// packets are 100 ms of 1 Gbit/s.
func addNetem(index int, parent, handle uint32, s specgen.Shape) error {
	netem := netlink.NewNetem(
		netlink.QdiscAttrs{LinkIndex: index, Handle: handle, Parent: parent},
		netlink.NetemQdiscAttrs{Latency: uint32(s.Delay.Microseconds()), Loss: float32(s.Loss), Limit: 10_000},
	)
	if err := netlink.QdiscAdd(netem); err != nil {
		return explain("delay and loss", "netem", err)
	}
	return nil
}

// limitInput leads what comes to a device that has a queue.
func limitInput(link netlink.Link, rate uint64) error {
	index, mtu := link.Attrs().Index, link.Attrs().MTU
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = ifbPrefix+strconv.Itoa(index), mtu
	if err := netlink.LinkAdd(&netlink.Ifb{LinkAttrs: attrs}); err != nil {
		return explain("a rate of what comes in", "ifb", err)
	}
	ifb, err := netlink.LinkByName(attrs.Name)
	if err != nil {
		return fmt.Errorf("find %s: %w", attrs.Name, err)
	}
	if err := netlink.LinkSetUp(ifb); err != nil {
		return fmt.Errorf("set %s up: %w", attrs.Name, err)
	}
	if err := netlink.QdiscAdd(bucket(ifb.Attrs().Index, netlink.HANDLE_ROOT, rate, mtu)); err != nil {
		return explain("a rate", "tbf", err)
	}
	ingress := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}}
	if err := netlink.QdiscAdd(ingress); err != nil {
		return explain("a rate of what comes in", "ingress", err)
	}
	err = netlink.FilterAdd(&netlink.U32{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: index, Parent: ingress.Handle, Priority: 1, Protocol: unix.ETH_P_ALL},
		ClassId:     netlink.MakeHandle(1, 1),
		Actions:     []netlink.Action{netlink.NewMirredAction(ifb.Attrs().Index)},
	})
	if err != nil {
		return explain("a rate of what comes in", "mirred", err)
	}
	return nil
}

const (
	// headers is what a packet has besides what the MTU counts.
	headers = 64
	// burstTime is for how long the rate may be exceeded after a pause; kernels
	// count in 1 to 10 ms.
	burstTime = 100
	// queueTime is how long a packet may wait before further ones are dropped: as
	// 1/queueTime seconds.
	queueTime = 5
)

// bucket is a token bucket: rate in bits a second. A packet larger than the burst
// would never pass, and interfaces of pasta take packets of 64 KiB.
func bucket(index int, parent uint32, rate uint64, mtu int) *netlink.Tbf {
	bytes := rate / 8
	burst := max(bytes/burstTime, uint64(mtu+headers))
	limit := burst + max(bytes/queueTime, 4*uint64(mtu+headers))
	return &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(10, 0), Parent: parent},
		Rate:       bytes, Limit: uint32(min(limit, 1<<31)), Buffer: netlink.Xmittime(bytes, uint32(min(burst, 1<<31))),
	}
}

// clearLink takes away what shapeLink has made, or a part of it.
func clearLink(link netlink.Link) error {
	index := link.Attrs().Index
	for _, q := range []netlink.Qdisc{
		&netlink.GenericQdisc{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Parent: netlink.HANDLE_ROOT}, QdiscType: "tbf"},
		&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}},
	} {
		// Without one the kernel says ENOENT or EINVAL, for its default one too.
		if err := netlink.QdiscDel(q); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("remove the queue: %w", err)
		}
	}
	ifb, err := netlink.LinkByName(ifbPrefix + strconv.Itoa(index))
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(ifb)
	}
	if err != nil {
		return fmt.Errorf("remove the device of the queue: %w", err)
	}
	return nil
}

// ErrUnsupported says that the kernel lacks what a shape needs.
var ErrUnsupported = errors.New("the kernel cannot do it")

// explain says which part of the kernel is missing.
func explain(what, part string, err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		module := map[string]string{"tbf": "sch_tbf", "htb": "sch_htb", "u32": "cls_u32", "netem": "sch_netem", "ifb": "ifb", "ingress": "sch_ingress", "mirred": "act_mirred, cls_u32"}[part]
		return fmt.Errorf("%s: %w: it has no %s (as root: modprobe %s, if the kernel was built with it)", what, ErrUnsupported, part, module)
	}
	return fmt.Errorf("%s: add %s: %w", what, part, err)
}

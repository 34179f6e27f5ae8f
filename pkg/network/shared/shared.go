// Package shared connects containers of the default network to the one pasta of
// the user's network namespace, instead of giving each its own: 16 MB for all of
// them. A container has a pair of interfaces to a bridge of that namespace, as an
// isolated port: none reaches another, nor what else is in the namespace.
package shared

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/network/firewall"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netns"
	"github.com/rootless-pod/pod/pkg/network/usernet"
)

const (
	bridgeName = "pod-default"
	tableName  = "pod_default"
	inputTable = "pod_default_in"
	claimsDir  = usernet.ClaimsDir
	lockName   = claimsDir + "/lock"
	// mtu is that of pasta's interface; packets of 1500 bytes overrun its queue.
	mtu = 65520
)

// ErrUnavailable says that this kernel or host has not what a shared pasta needs;
// a pasta each serves then.
var ErrUnavailable = errors.New("the default network cannot be shared here")

// subnet is the containers' network, which nobody outside of the namespace sees.
func subnet() (four, six netip.Prefix) {
	return netip.MustParsePrefix("10.254.0.0/16"), netip.MustParsePrefix("fd70:6f64::/64")
}

// Connect connects the namespace at path, of the container id. On error the
// container has left the user's namespace again.
func Connect(ctx context.Context, cfg usernet.Config, id, path string) (_ link.Link, err error) {
	ns, err := usernet.Open(ctx, cfg, usernet.User{Name: id, NetNS: path})
	if err != nil {
		return link.Link{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, usernet.Release(context.WithoutCancel(ctx), cfg, id))
		}
	}()
	four, six := subnet()
	for _, a := range ns.Link.Addresses {
		if four.Overlaps(a) || six.Overlaps(a) {
			return link.Link{}, fmt.Errorf("%w: %s is this host's network", ErrUnavailable, a)
		}
	}
	number, err := claim(cfg.Dir, id, path)
	if err != nil {
		return link.Link{}, err
	}
	defer func() {
		if err != nil {
			unclaim(cfg.Dir, id, path)
		}
	}()
	l := link.Link{DNS: ns.Link.DNS, HostAddress: ns.Link.HostAddress, Warnings: ns.Warnings}
	l.Addresses = append(l.Addresses, at(four, number))
	if hasSix(ns.Link.Addresses) {
		l.Addresses = append(l.Addresses, at(six, number))
	}
	target, err := os.Open(path)
	if err != nil {
		return link.Link{}, fmt.Errorf("connect the default network: %w", err)
	}
	defer target.Close()
	err = step.Do(ctx, "network.default", func() error {
		if err := ns.Do(func() error { return plug(cfg.Dir, int(target.Fd()), number, l.Addresses) }); err != nil { //nolint:gosec // a descriptor
			return err
		}
		err := netns.Do(path, func() error { return configure(l.Addresses) })
		if err != nil {
			_ = ns.Do(func() error { unplug(number); return nil }) // a pasta of its own wants the name
		}
		return err
	})
	return l, err
}

// Leave takes a container off; its interfaces end with its namespace, whose file
// was path.
func Leave(ctx context.Context, cfg usernet.Config, id, path string) error {
	unclaim(cfg.Dir, id, path)
	return usernet.Release(ctx, cfg, id)
}

func hasSix(addresses []netip.Prefix) bool {
	for _, a := range addresses {
		if a.Addr().Is6() {
			return true
		}
	}
	return false
}

// InUse says whether containers are connected, or were when their user's namespace
// was last looked after.
func InUse(cfg usernet.Config) bool {
	entries, err := os.ReadDir(filepath.Join(cfg.Dir, claimsDir))
	return err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Type() == fs.ModeSymlink })
}

// at is an address of a network, with its length.
func at(network netip.Prefix, number uint16) netip.Prefix {
	raw := network.Addr().AsSlice()
	raw[len(raw)-2], raw[len(raw)-1] = byte(number>>8), byte(number)
	addr, _ := netip.AddrFromSlice(raw) // of the length it had
	return netip.PrefixFrom(addr, network.Bits())
}

// claim gives a container a number that no other has: a symbolic link of that name
// to the file of its namespace. A link to what is gone does not count.
func claim(dir, id, path string) (uint16, error) {
	dir = filepath.Join(dir, claimsDir)
	for try := range uint32(last - first) {
		number := candidate(id, try)
		name := filepath.Join(dir, strconv.Itoa(int(number)))
		err := os.Symlink(path, name)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.MkdirAll(dir, 0o700); err == nil {
				err = os.Symlink(path, name)
			}
		}
		if err == nil {
			return number, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, fmt.Errorf("address of the default network: %w", err)
		}
		holder, err := os.Readlink(name)
		if err == nil && holder == path {
			return number, nil
		}
		if err == nil && netns.Check(holder) != nil {
			// Two who find this both would remove the other's: the rename decides.
			if fresh := name + "." + id; os.Symlink(path, fresh) == nil {
				if err := os.Rename(fresh, name); err != nil {
					return 0, fmt.Errorf("address of the default network: %w", err)
				}
				if now, err := os.Readlink(name); err == nil && now == path {
					return number, nil
				}
			}
		}
	}
	return 0, errors.New("address of the default network: all are taken")
}

// Numbers of containers; those before are the network and the gateway.
const first, last = 2, 65533

// candidate is the number that a container tries at its n-th try.
func candidate(id string, try uint32) uint16 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id))                          // never fails
	return uint16(first + (hash.Sum32()+try)%(last-first)) //nolint:gosec // below last
}

// unclaim gives a container's number back. One that was not found among the first
// is taken for gone when its namespace is.
func unclaim(dir, id, path string) {
	for try := range uint32(8) {
		name := filepath.Join(dir, claimsDir, strconv.Itoa(int(candidate(id, try))))
		if holder, err := os.Readlink(name); err == nil && holder == path {
			_ = os.Remove(name) // what stays is stale
			return
		}
	}
}

// plug connects the namespace behind fd, on a thread inside the user's.
func plug(dir string, fd int, number uint16, addresses []netip.Prefix) error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		if bridge, err = build(dir, addresses); err != nil {
			return err
		}
	}
	if bridge.Attrs().Flags&net.FlagUp == 0 { // its maker is about to say so
		if err := netlink.LinkSetUp(bridge); err != nil {
			return fmt.Errorf("connect the default network: %w", err)
		}
	}
	name := portName(number)
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name, MTU: mtu, MasterIndex: bridge.Attrs().Index, Flags: net.FlagUp},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(fd),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		if !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("connect the default network: %w", err)
		}
		// Of a namespace that is about to end.
		if old, err := netlink.LinkByName(name); err == nil {
			_ = netlink.LinkDel(old)
		}
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("connect the default network: %w", err)
		}
	}
	if err := netlink.LinkSetIsolated(pair, true); err != nil {
		unplug(number)
		return fmt.Errorf("isolate the container on the default network: %w", err)
	}
	if err := netlink.LinkSetUp(pair); err != nil {
		unplug(number)
		return fmt.Errorf("connect the default network: %w", err)
	}
	return nil
}

func portName(number uint16) string { return "pd" + strconv.Itoa(int(number)) }

// unplug removes a container's pair of interfaces, on a thread inside the user's
// namespace.
func unplug(number uint16) {
	if port, err := netlink.LinkByName(portName(number)); err == nil {
		_ = netlink.LinkDel(port) // it ends with the container's namespace at the latest
	}
}

// build makes the bridge and its rules; it comes up last, so one that is found is
// complete.
func build(dir string, addresses []netip.Prefix) (netlink.Link, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("build the default network: %w", err)
	}
	defer lock.Close()
	if err := flock.Lock(lock, unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("build the default network: %w", err)
	}
	if bridge, err := netlink.LinkByName(bridgeName); err == nil {
		return bridge, nil
	}
	four, six := subnet()
	subnets := []netip.Prefix{four}
	if hasSix(addresses) {
		subnets = append(subnets, six)
	}
	for _, file := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if err := os.WriteFile("/proc/sys/net/"+file, []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	err = firewall.Apply(firewall.Network{Table: tableName, Bridge: bridgeName, Subnets: subnets, Isolation: firewall.Strict})
	if err == nil {
		err = closeInput()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	// Made under another name: who looks for it finds it whole.
	const half = "pod-default.new"
	if old, err := netlink.LinkByName(half); err == nil {
		_ = netlink.LinkDel(old)
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: half, MTU: mtu}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("build the default network: %w", err)
	}
	for _, s := range subnets {
		if err := addAddress(bridge, at(s, 1)); err != nil {
			return nil, err
		}
	}
	if err := netlink.LinkSetName(bridge, bridgeName); err != nil {
		return nil, fmt.Errorf("build the default network: %w", err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return nil, fmt.Errorf("build the default network: %w", err)
	}
	return bridge, nil
}

// closeInput keeps containers from what listens in the user's namespace, as the
// name servers of other networks do; only neighbours are answered.
func closeInput() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: inputTable, Family: nftables.TableFamilyINet}
	conn.AddTable(table)
	conn.DelTable(table)
	conn.AddTable(table)
	accept := nftables.ChainPolicyAccept
	chain := conn.AddChain(&nftables.Chain{
		Name: "in", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter, Policy: &accept,
	})
	var name [unix.IFNAMSIZ]byte
	copy(name[:], bridgeName)
	from := []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: name[:]}}
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(append([]expr.Any(nil), from...),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_ICMPV6}},
		&expr.Verdict{Kind: expr.VerdictAccept})})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(from, &expr.Verdict{Kind: expr.VerdictDrop})})
	return conn.Flush()
}

func addAddress(l netlink.Link, p netip.Prefix) error {
	// Nobody else can have it, so IPv6 need not ask around first.
	err := netlink.AddrAdd(l, &netlink.Addr{IPNet: ipNet(p), Flags: noDAD(p)})
	if err != nil {
		return fmt.Errorf("address %s of the default network: %w", p, err)
	}
	return nil
}

func noDAD(p netip.Prefix) int {
	if p.Addr().Is6() {
		return unix.IFA_F_NODAD
	}
	return 0
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// configure sets the container's side up, on a thread inside its namespace.
func configure(addresses []netip.Prefix) error {
	eth, err := netlink.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("connect the default network: %w", err)
	}
	if err := netlink.LinkSetMTU(eth, mtu); err != nil {
		return fmt.Errorf("connect the default network: %w", err)
	}
	for _, p := range addresses {
		if err := addAddress(eth, p); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(eth); err != nil {
		return fmt.Errorf("connect the default network: %w", err)
	}
	for _, p := range addresses {
		gateway := at(p.Masked(), 1).Addr()
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: gateway.AsSlice()}); err != nil {
			return fmt.Errorf("route of the default network: %w", err)
		}
	}
	return nil
}

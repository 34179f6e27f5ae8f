// Package bridge connects containers to networks and takes them off again: it
// joins the definitions (netconf), the addresses (ipam), the user's namespace
// (usernet), netavark, the firewall and the names (aardvark).
//
// In the user's own namespace a network is built by its first container and stays
// until it is removed or the namespace ends with the last container. Nothing is
// torn down when one container of several leaves: its interface ends with its
// namespace, and its address and names are given back. On real root's networks,
// which others use too, netavark does and undoes everything.
//
// Whoever is killed leaves what Leave finds by the container's id.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"

	"go.podman.io/common/libnetwork/types"
	"go.podman.io/storage/pkg/lockfile"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/network/aardvark"
	"github.com/rootless-pod/pod/pkg/network/ipam"
	"github.com/rootless-pod/pod/pkg/network/netavark"
	"github.com/rootless-pod/pod/pkg/network/netconf"
	"github.com/rootless-pod/pod/pkg/network/usernet"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Config is what a Manager stands on.
type Config struct {
	Networks *netconf.Store
	User     usernet.Config
	// Dir holds addresses and names; it ends with the boot. For real root it is
	// podman's.
	Dir string
	// CacheDir keeps what is known of programs.
	CacheDir string
	// Lock is podman's lock of real root's networks.
	Lock string
	// Netavark and Aardvark are resolved paths, empty if not installed.
	Netavark, Aardvark string
	// Firewall, DNSPort and Plugins are containers.conf's.
	Firewall string
	DNSPort  uint16
	Plugins  []string
	// Resolv is the host's resolv.conf.
	Resolv string
	// Settle gives back what a container has that a killed pod has left, and says
	// whether it had something; may be nil.
	Settle func(ctx context.Context, id string) bool
}

// Manager connects containers.
type Manager struct{ cfg Config }

// New makes a Manager; nothing is touched yet.
func New(cfg Config) *Manager {
	m := &Manager{cfg: cfg}
	m.cfg.User.Ending = m.ending
	return m
}

// Networks are the definitions.
func (m *Manager) Networks() *netconf.Store { return m.cfg.Networks }

// Container is who is connected.
type Container struct {
	ID, Name, Hostname string
	// NetNS is the file of its namespace.
	NetNS string
	// Attachments name their networks; none is empty.
	Attachments []specgen.Attachment
	// Taken are the names of interfaces that the container has already.
	Taken []string
	// Ports are for real root's firewall; rootless ports are forwarded elsewhere.
	Ports []specgen.PortMapping
	// DNS are the user's name servers.
	DNS []string
}

// Connection is what a container has on one network; it is recorded.
type Connection struct {
	Network   string         `json:"network"`
	NetworkID string         `json:"network_id"`
	Interface string         `json:"interface"`
	MAC       string         `json:"mac,omitempty"`
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	Gateways  []netip.Addr   `json:"gateways,omitempty"`
	// Aliases are the names it is known by there besides its own.
	Aliases []string `json:"aliases,omitempty"`
	// DNS and Search are where names of the network are answered.
	DNS    []string `json:"dns,omitempty"`
	Search []string `json:"search,omitempty"`
}

// Joined is the answer of Connect.
type Joined struct {
	Connections []Connection
	// Forward are name servers that the user's namespace has, for containers
	// without names of their networks.
	Forward []string
	// HostAddress reaches the host, if something does.
	HostAddress string
	Warnings    []string
}

// plan is what a connect works with.
type plan struct {
	c        Container
	networks []types.Network
	options  []types.PerNetworkOptions
	leases   map[string][]netip.Addr
	tool     netavark.Tool
	// rules: the firewall is ours.
	rules bool
	ns    *usernet.Namespace
}

// Connect connects a container to its networks. On error nothing is left.
func (m *Manager) Connect(ctx context.Context, c Container) (_ *Joined, err error) {
	if len(c.Attachments) == 0 {
		return &Joined{}, nil // it was disconnected from all
	}
	p, err := m.plan(ctx, c)
	if err != nil {
		return nil, err
	}
	if !m.cfg.User.Rootless {
		unlock, err := m.lockRoot()
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	if p.ns, err = usernet.Open(ctx, m.cfg.User, usernet.User{Name: c.ID, NetNS: c.NetNS}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.undo(context.WithoutCancel(ctx), p))
		}
	}()
	if err := step.Do(ctx, "network.lease", func() error { return m.lease(ctx, p) }); err != nil {
		return nil, err
	}
	status, err := m.build(ctx, p)
	if err != nil {
		return nil, err
	}
	joined := p.joined(status)
	if err := m.publish(ctx, p, joined); err != nil {
		return nil, err
	}
	return joined, nil
}

// undo takes back what a connect that failed has done.
func (m *Manager) undo(ctx context.Context, p *plan) error {
	names := p.names()
	errs := []error{m.leases().Free(p.c.ID, names...)}
	if m.cfg.User.Rootless {
		errs = append(errs, m.names(p.ns).Drop(ctx, p.c.ID, names...))
	}
	if len(p.c.Taken) == 0 {
		errs = append(errs, usernet.Release(ctx, m.cfg.User, p.c.ID))
	} else if p.ns != nil {
		// Its namespace goes on: what is half made in it must go.
		_ = m.unbuild(ctx, p) // mostly there is nothing
	}
	return errors.Join(errs...)
}

func (p *plan) names() []string {
	names := make([]string, len(p.networks))
	for i := range p.networks {
		names[i] = p.networks[i].Name
	}
	return names
}

// plan looks everything up and changes nothing.
func (m *Manager) plan(ctx context.Context, c Container) (*plan, error) {
	p := &plan{c: c}
	var err error
	if p.tool, p.rules, err = m.tool(ctx); err != nil {
		return nil, err
	}
	taken := slices.Clone(c.Taken)
	for _, a := range c.Attachments {
		if a.Interface != "" {
			taken = append(taken, a.Interface)
		}
	}
	for _, a := range c.Attachments {
		n, err := m.Find(a.Name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(p.names(), n.Name) {
			return nil, fmt.Errorf("network %s is given twice", n.Name)
		}
		if err := Fits(n, a); err != nil {
			return nil, err
		}
		o := types.PerNetworkOptions{Aliases: aliases(c, a), InterfaceName: a.Interface, Options: a.Options}
		if o.InterfaceName == "" {
			o.InterfaceName = freeName(taken)
			taken = append(taken, o.InterfaceName)
		}
		if a.MAC != "" {
			mac, err := net.ParseMAC(a.MAC)
			if err != nil {
				return nil, fmt.Errorf("network %s: %w", n.Name, err)
			}
			o.StaticMAC = types.HardwareAddr(mac)
		}
		p.networks, p.options = append(p.networks, m.wide(*n)), append(p.options, o)
	}
	return p, nil
}

// rootlessMTU is that of the interface behind which pasta and slirp4netns are.
const rootlessMTU = "65520"

// wide gives a bridge of the user's namespace the size of packets of the interface
// behind it, unless its definition says one. Packets of 1500 bytes, of which the
// kernel makes bursts there, overrun that interface's queue: 0.003 Gbit/s out of a
// container, against 5.
func (m *Manager) wide(n types.Network) types.Network {
	if !m.cfg.User.Rootless || n.Driver != types.BridgeNetworkDriver || n.Options[types.MTUOption] != "" {
		return n
	}
	n.Options = maps.Clone(n.Options)
	if n.Options == nil {
		n.Options = map[string]string{}
	}
	n.Options[types.MTUOption] = rootlessMTU
	return n
}

// Find looks a network up; "" is the default one.
func (m *Manager) Find(name string) (*types.Network, error) {
	if name == "" {
		name = m.cfg.Networks.Default()
	}
	return m.cfg.Networks.Lookup(name)
}

// Fits tests whether a network can give what is asked for.
func Fits(n *types.Network, a specgen.Attachment) error {
	for _, ip := range a.IPs {
		if !ipam.Managed(n) {
			return fmt.Errorf("requested static ip %s: addresses of network %s are not given out here", ip, n.Name)
		}
		if !slices.ContainsFunc(n.Subnets, func(s types.Subnet) bool { return s.Subnet.Contains(ip.AsSlice()) }) {
			return fmt.Errorf("requested static ip %s not in any subnet on network %s", ip, n.Name)
		}
	}
	return nil
}

// aliases are the names of a container on a network besides its own.
func aliases(c Container, a specgen.Attachment) []string {
	names := slices.Clone(a.Aliases)
	if id := c.ID[:min(len(c.ID), 12)]; !slices.Contains(names, id) {
		names = append(names, id)
	}
	return names
}

func freeName(taken []string) string {
	for i := 0; ; i++ { // ends: taken is finite
		if name := fmt.Sprintf("eth%d", i); !slices.Contains(taken, name) {
			return name
		}
	}
}

// tool is netavark as it is to be run, and whether the firewall is ours.
func (m *Manager) tool(ctx context.Context) (netavark.Tool, bool, error) {
	t := netavark.Tool{
		Path: m.cfg.Netavark, Dir: m.cfg.Dir, Rootless: m.cfg.User.Rootless, Firewall: m.cfg.Firewall,
		DNSPort: m.cfg.DNSPort, Plugins: m.cfg.Plugins,
	}
	if t.Path == "" {
		return t, false, errors.New("netavark is not installed: install the packages netavark and aardvark-dns, or use --network pasta, none or host (pod doctor explains)")
	}
	var err error
	if t.Version, err = netavark.Ask(ctx, t.Path, m.cfg.CacheDir); err != nil {
		return t, false, err
	}
	if !m.cfg.User.Rootless {
		t.Aardvark = m.cfg.Aardvark
		return t, false, nil
	}
	ours := t.Firewall == netavark.Chosen && t.Version.TakesNone()
	if ours {
		t.Firewall = netavark.None
	}
	return t, ours, nil
}

func (m *Manager) lockRoot() (func(), error) {
	l, err := lockfile.GetLockFile(m.cfg.Lock)
	if err != nil {
		return nil, fmt.Errorf("lock networks: %w", err)
	}
	l.Lock()
	return l.Unlock, nil
}

// maxSettle bounds how often a lease is tried again.
const maxSettle = 32

// lease gives the container its addresses. Those of containers that a killed pod
// has left half way are free.
func (m *Manager) lease(ctx context.Context, p *plan) error {
	requests := make([]ipam.Request, len(p.networks))
	for i := range p.networks {
		requests[i] = ipam.Request{Network: &p.networks[i], Static: p.c.Attachments[i].IPs}
	}
	var err error
	for try := 0; ; try++ {
		if p.leases, err = m.leases().Lease(p.c.ID, requests); err == nil {
			break
		}
		if try == maxSettle || !m.settle(ctx, p, err) {
			return err
		}
	}
	for i := range p.networks {
		for _, ip := range p.leases[p.networks[i].Name] {
			p.options[i].StaticIPs = append(p.options[i].StaticIPs, ip.AsSlice())
		}
	}
	return nil
}

// settle looks whether who is in the way of a lease is still there.
func (m *Manager) settle(ctx context.Context, p *plan, err error) bool {
	if m.cfg.Settle == nil {
		return false
	}
	var taken *ipam.TakenError
	if errors.As(err, &taken) {
		return m.cfg.Settle(ctx, taken.By)
	}
	if !errors.Is(err, ipam.ErrFull) {
		return false
	}
	holders, err := m.leases().Holders()
	if err != nil {
		return false
	}
	freed := false
	for _, name := range p.names() {
		for _, id := range holders[name] {
			freed = m.cfg.Settle(ctx, id) || freed
		}
	}
	return freed
}

// request is what netavark is asked for. Names are ours in the user's own
// namespace: it would start aardvark-dns in a place that we do not choose.
func (p *plan) request() netavark.Request {
	r := netavark.Request{
		ID: p.c.ID, Name: p.c.Name, Hostname: p.c.Hostname, DNSServers: p.c.DNS, Networks: p.networks, Options: p.options,
	}
	if p.tool.Rootless {
		r.Networks = slices.Clone(p.networks)
		for i := range r.Networks {
			r.Networks[i].DNSEnabled = false
		}
	}
	for _, port := range p.c.Ports {
		r.Ports = append(r.Ports, types.PortMapping{
			HostIP: port.HostIP, HostPort: port.HostPort, ContainerPort: port.ContainerPort, Range: max(port.Range, 1), Protocol: port.Protocol,
		})
	}
	return r
}

// joined reads netavark's answer.
func (p *plan) joined(status map[string]types.StatusBlock) *Joined {
	j := &Joined{Forward: p.ns.Link.DNS, HostAddress: p.ns.Link.HostAddress, Warnings: p.ns.Warnings}
	for i, n := range p.networks {
		block := status[n.Name]
		c := Connection{
			Network: n.Name, NetworkID: n.ID, Interface: p.options[i].InterfaceName, Aliases: p.options[i].Aliases, Search: block.DNSSearchDomains,
		}
		for _, ip := range block.DNSServerIPs {
			c.DNS = append(c.DNS, ip.String())
		}
		face := block.Interfaces[c.Interface]
		if len(face.MacAddress) > 0 {
			c.MAC = net.HardwareAddr(face.MacAddress).String()
		}
		for _, s := range face.Subnets {
			if ip, ok := netip.AddrFromSlice(s.IPNet.IP); ok {
				ones, _ := s.IPNet.Mask.Size()
				c.Addresses = append(c.Addresses, netip.PrefixFrom(ip.Unmap(), ones))
			}
			if gateway, ok := netip.AddrFromSlice(s.Gateway); ok {
				c.Gateways = append(c.Gateways, gateway.Unmap())
			}
		}
		j.Connections = append(j.Connections, c)
	}
	return j
}

// publish makes the container's names known.
func (m *Manager) publish(ctx context.Context, p *plan, j *Joined) error {
	if !m.cfg.User.Rootless {
		return nil // netavark did
	}
	var entries []aardvark.Entry
	for i := range p.networks {
		n, c := &p.networks[i], &j.Connections[i]
		if !n.DNSEnabled || len(c.Addresses) == 0 {
			continue
		}
		c.Search = []string{searchDomain}
		for _, ip := range named(n).Listen {
			c.DNS = append(c.DNS, ip.String())
		}
		e := aardvark.Entry{Network: named(n), Names: append([]string{p.c.Name}, p.options[i].Aliases...), Servers: p.c.DNS}
		for _, a := range c.Addresses {
			e.Addrs = append(e.Addrs, a.Addr())
		}
		entries = append(entries, e)
	}
	if len(entries) > 0 && m.cfg.Aardvark == "" {
		j.Warnings = append(j.Warnings, "aardvark-dns is not installed: containers do not find each other by name (install the package aardvark-dns)")
		for i := range j.Connections {
			j.Connections[i].DNS, j.Connections[i].Search = nil, nil
		}
		return nil
	}
	if len(entries) > 0 {
		if _, err := m.writeResolv(p.ns); err != nil {
			return err
		}
	}
	return m.names(p.ns).Add(ctx, p.c.ID, entries)
}

// searchDomain is where containers look for short names, as netavark has it.
const searchDomain = "dns.podman"

// named is what aardvark-dns must know of a network.
func named(n *types.Network) aardvark.Network {
	a := aardvark.Network{Name: n.Name, Internal: n.Internal, Servers: n.NetworkDNSServers}
	for _, s := range n.Subnets {
		if ip, ok := netip.AddrFromSlice(s.Gateway); ok {
			a.Listen = append(a.Listen, ip.Unmap())
		}
	}
	return a
}

// Leave gives back all that a container has, whose namespace ends: it need not be
// known what that is. A container that has nothing is no error.
func (m *Manager) Leave(ctx context.Context, id string) error {
	if !m.cfg.User.Rootless {
		return m.leases().Free(id)
	}
	ns, ok := usernet.Look(m.cfg.User)
	if !ok {
		return usernet.Release(ctx, m.cfg.User, id)
	}
	return errors.Join(
		m.names(ns).Drop(ctx, id),
		m.leases().Free(id),
		usernet.Release(ctx, m.cfg.User, id),
	)
}

// Disconnect takes a running container off some of its networks; c has those
// only.
func (m *Manager) Disconnect(ctx context.Context, c Container) error {
	p, err := m.plan(ctx, c)
	if err != nil {
		return err
	}
	names := p.names()
	if !m.cfg.User.Rootless {
		unlock, err := m.lockRoot()
		if err != nil {
			return err
		}
		defer unlock()
	} else if err := m.names(nil).Drop(ctx, c.ID, names...); err != nil {
		return err
	}
	p.leased()
	err = m.unbuild(ctx, p)
	return errors.Join(err, m.leases().Free(c.ID, names...))
}

// Reload disconnects and connects a running container, which keeps what it has.
func (m *Manager) Reload(ctx context.Context, c Container) (*Joined, error) {
	if err := m.Disconnect(ctx, c); err != nil {
		return nil, err
	}
	for _, a := range c.Attachments {
		// What the network is built of is made anew too.
		if err := os.Remove(m.built(a.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("reload network %s: %w", a.Name, err)
		}
	}
	c.Taken = []string{"lo"} // it runs: its namespace stays if this fails
	return m.Connect(ctx, c)
}

// leased puts the addresses that a container has, which come with the attachments,
// into a plan.
func (p *plan) leased() {
	for i, a := range p.c.Attachments {
		for _, ip := range a.IPs {
			p.options[i].StaticIPs = append(p.options[i].StaticIPs, ip.AsSlice())
		}
	}
}

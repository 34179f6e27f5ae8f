package netconf

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"go.podman.io/common/libnetwork/types"
)

// Create completes a network that a user has described, and writes it down. With
// ignore a network of that name that exists is the answer.
func (s *Store) Create(n types.Network, ignore bool) (*types.Network, error) {
	if err := s.checkName(n.Name); err != nil {
		return nil, err
	}
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if n.Name != "" {
		switch known, err := s.exact(n.Name); {
		case err != nil:
			return nil, err
		case known != nil && ignore:
			return known, nil
		case known != nil:
			return nil, fmt.Errorf("network name %s already used: %w", n.Name, types.ErrNetworkExists)
		}
	}
	used, err := s.used()
	if err != nil {
		return nil, err
	}
	if err := s.complete(&n, used); err != nil {
		return nil, err
	}
	return &n, s.write(&n)
}

func (s *Store) checkName(name string) error {
	switch {
	case name == "":
		return nil
	case !types.NameRegex.MatchString(name):
		return fmt.Errorf("network name %s invalid: %w", name, types.ErrInvalidName)
	case len(name) > maxName:
		return fmt.Errorf("network name of %d characters is too long: use at most %d", len(name), maxName)
	case slices.Contains(Modes(), name):
		return fmt.Errorf("cannot create network with name %q because it conflicts with a valid network mode", name)
	}
	return nil
}

// exact finds a network by its name alone.
func (s *Store) exact(name string) (*types.Network, error) {
	n, err := s.read(name)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, types.ErrNoSuchNetwork):
		return nil, err
	case name == s.opts.Default:
		d := s.byDefault()
		return &d, nil
	}
	return nil, nil
}

// used is what networks and the host's interfaces take up.
type used struct {
	names   []string
	bridges map[string]string
	devices []string
	subnets []owned
}

type owned struct {
	prefix netip.Prefix
	by     string
}

func (s *Store) used() (*used, error) {
	all, _, err := s.List()
	if err != nil {
		return nil, err
	}
	u := &used{bridges: map[string]string{}}
	for i := range all {
		n := &all[i]
		u.names = append(u.names, n.Name)
		if n.Driver == types.BridgeNetworkDriver {
			u.bridges[n.NetworkInterface] = n.Name
		}
		for _, subnet := range n.Subnets {
			if p, err := prefix(subnet.Subnet); err == nil {
				u.subnets = append(u.subnets, owned{p, "network " + n.Name})
			}
		}
	}
	subnets, devices, err := s.opts.Taken()
	if err != nil {
		return nil, fmt.Errorf("look at the host's networks: %w", err)
	}
	u.devices = devices
	for _, p := range subnets {
		u.subnets = append(u.subnets, owned{p.Masked(), "this host"})
	}
	return u, nil
}

func (u *used) overlap(p netip.Prefix) (owned, bool) {
	for _, o := range u.subnets {
		if o.prefix.Overlaps(p) {
			return o, true
		}
	}
	return owned{}, false
}

// device returns a name that neither a network nor an interface has.
func (u *used) device() string {
	for i := 1; ; i++ { // ends: what is used is finite
		name := bridgePrefix + strconv.Itoa(i)
		if _, ok := u.bridges[name]; !ok && !slices.Contains(u.names, name) && !slices.Contains(u.devices, name) {
			return name
		}
	}
}

// complete fills in what the user has left open, and checks what he gave.
func (s *Store) complete(n *types.Network, u *used) error {
	if n.Driver == "" {
		n.Driver = types.DefaultNetworkDriver
	}
	n.Created = time.Now()
	var id [32]byte
	_, _ = rand.Read(id[:]) // never fails
	n.ID = hex.EncodeToString(id[:])
	if n.Name == "" {
		n.Name = u.device()
	}
	if n.IPAMOptions == nil {
		n.IPAMOptions = map[string]string{}
	}
	if err := checkOptions(n); err != nil {
		return err
	}
	var err error
	switch n.Driver {
	case types.BridgeNetworkDriver:
		err = s.completeBridge(n, u)
	case types.MacVLANNetworkDriver, types.IPVLANNetworkDriver:
		err = s.completeVLAN(n, u)
	default:
		err = fmt.Errorf("failed to find driver or plugin %q: use bridge, macvlan or ipvlan", n.Driver)
	}
	if err != nil {
		return err
	}
	if len(n.NetworkDNSServers) > 0 && !n.DNSEnabled {
		return fmt.Errorf("cannot set NetworkDNSServers if DNS is not enabled for the network: %w", types.ErrInvalidArg)
	}
	if err := checkRoutes(n); err != nil {
		return err
	}
	if err := checkGiven(n, u); err != nil {
		return err
	}
	return check(n)
}

// checkGiven refuses subnets that somebody has.
func checkGiven(n *types.Network, u *used) error {
	if n.Options[types.ModeOption] == types.BridgeModeUnmanaged {
		return nil // the host's own bridge, with the host's own subnet
	}
	if n.Driver != types.BridgeNetworkDriver {
		return nil // the parent's subnet is meant
	}
	for _, subnet := range n.Subnets {
		p, err := prefix(subnet.Subnet)
		if err != nil {
			return err
		}
		if by, taken := u.overlap(p); taken {
			return fmt.Errorf("subnet %s is already used on the host or by another config: it overlaps %s of %s", p, by.prefix, by.by)
		}
	}
	return nil
}

func checkRoutes(n *types.Network) error {
	for i := range n.Routes {
		r := &n.Routes[i]
		if r.Destination.IP == nil || r.Gateway == nil {
			return errors.New("a route needs a destination and a gateway")
		}
		if (r.Destination.IP.To4() == nil) != (r.Gateway.To4() == nil) {
			return fmt.Errorf("route to %s: gateway %s is of the other address family", r.Destination.String(), r.Gateway)
		}
		p, err := prefix(r.Destination)
		if err != nil {
			return err
		}
		r.Destination, r.Gateway = ipNet(p), short(r.Gateway)
	}
	return nil
}

func (s *Store) completeBridge(n *types.Network, u *used) error {
	unmanaged := n.Options[types.ModeOption] == types.BridgeModeUnmanaged
	if n.NetworkInterface == "" {
		n.NetworkInterface = u.device()
	} else {
		if err := checkInterface(n.NetworkInterface); err != nil {
			return err
		}
		if _, taken := u.bridges[n.NetworkInterface]; taken && !unmanaged {
			return fmt.Errorf("bridge name %s already in use", n.NetworkInterface)
		}
	}
	switch driver := n.IPAMOptions[types.Driver]; driver {
	case types.NoneIPAMDriver, types.DHCPIPAMDriver:
		if len(n.Subnets) > 0 {
			return fmt.Errorf("%s ipam driver is set but subnets are given", driver)
		}
		n.DNSEnabled = false
		return nil
	case "", types.HostLocalIPAMDriver:
		n.IPAMOptions[types.Driver] = types.HostLocalIPAMDriver
	default:
		return fmt.Errorf("unsupported ipam driver %q: use host-local, dhcp or none", driver)
	}
	return s.addSubnets(n, u)
}

// addSubnets gives a bridge the subnets that were not named.
func (s *Store) addSubnets(n *types.Network, u *used) error {
	var four, six bool
	for _, subnet := range n.Subnets {
		if subnet.Subnet.IP.To4() != nil {
			four = true
		} else {
			six = true
		}
	}
	if !four && (!six || n.IPv6Enabled) {
		p, err := s.freeSubnet(u)
		if err != nil {
			return err
		}
		n.Subnets = append(n.Subnets, types.Subnet{Subnet: ipNet(p)})
	}
	if !six && n.IPv6Enabled {
		n.Subnets = append(n.Subnets, types.Subnet{Subnet: ipNet(randomSubnet(u))})
	}
	return nil
}

// freeSubnet is the first of the pools that nobody has.
func (s *Store) freeSubnet(u *used) (netip.Prefix, error) {
	for _, pool := range s.opts.Pools {
		if !pool.Base.Addr().Is4() || pool.Bits < pool.Base.Bits() || pool.Bits > 32 {
			continue
		}
		for p := netip.PrefixFrom(pool.Base.Masked().Addr(), pool.Bits); p.IsValid() && pool.Base.Contains(p.Addr()); {
			taken, ok := u.overlap(p)
			if !ok {
				return p, nil
			}
			if taken.prefix.Bits() > p.Bits() {
				taken.prefix = p // it lies inside
			}
			p = netip.PrefixFrom(after(taken.prefix), pool.Bits)
		}
	}
	return netip.Prefix{}, errors.New("could not find free subnet from subnet pools: remove networks, name a --subnet, or set default_subnet_pools in containers.conf")
}

// after is the first address behind an IPv4 prefix; invalid behind the last.
func after(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	n := uint64(a[0])<<24 | uint64(a[1])<<16 | uint64(a[2])<<8 | uint64(a[3])
	n += 1 << (32 - p.Bits())
	if n > 1<<32-1 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// randomSubnet is a /64 of the range for local use (RFC 4193).
func randomSubnet(u *used) netip.Prefix {
	for {
		a := [16]byte{0: 0xfd}
		_, _ = rand.Read(a[1:8]) // never fails
		p := netip.PrefixFrom(netip.AddrFrom16(a), 64)
		if _, taken := u.overlap(p); !taken {
			return p
		}
	}
}

// completeVLAN completes a network that shares an interface of the host.
func (s *Store) completeVLAN(n *types.Network, u *used) error {
	n.DNSEnabled = false // nobody would answer: there is no bridge with an address
	if n.NetworkInterface != "" {
		if err := checkInterface(n.NetworkInterface); err != nil {
			return err
		}
		if s.opts.Parents && !slices.Contains(u.devices, n.NetworkInterface) {
			return fmt.Errorf("parent interface %s does not exist", n.NetworkInterface)
		}
	}
	driver := n.IPAMOptions[types.Driver]
	if driver == "" {
		driver = types.HostLocalIPAMDriver
		if len(n.Subnets) == 0 {
			driver = types.DHCPIPAMDriver
		}
	}
	switch {
	case driver == types.HostLocalIPAMDriver && len(n.Subnets) == 0:
		return fmt.Errorf("%s driver needs at least one subnet specified when the host-local ipam driver is set", n.Driver)
	case driver == types.DHCPIPAMDriver && n.Driver == types.IPVLANNetworkDriver:
		return errors.New("ipam driver dhcp is not supported with ipvlan: give a --subnet, or --ipam-driver none")
	case driver == types.DHCPIPAMDriver && len(n.Subnets) > 0, driver == types.NoneIPAMDriver && len(n.Subnets) > 0:
		return fmt.Errorf("%s ipam driver is set but subnets are given", driver)
	case driver != types.HostLocalIPAMDriver && driver != types.DHCPIPAMDriver && driver != types.NoneIPAMDriver:
		return fmt.Errorf("unsupported ipam driver %q: use host-local, dhcp or none", driver)
	}
	n.IPAMOptions[types.Driver] = driver
	return nil
}

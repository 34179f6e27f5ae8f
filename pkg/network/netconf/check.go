package netconf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.podman.io/common/libnetwork/types"
)

// Modes are names that --network gives another meaning to.
func Modes() []string {
	return []string{"bridge", "container", "default", "host", "none", "ns", "pasta", "private", "slirp4netns"}
}

// check tests a definition that somebody else may have written, and completes it
// as podman does when it reads one.
func check(n *types.Network) error {
	if len(n.ID) != 64 || strings.Trim(n.ID, "0123456789abcdef") != "" {
		return fmt.Errorf("invalid network ID %q", n.ID)
	}
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	if n.Options == nil {
		n.Options = map[string]string{}
	}
	if n.IPAMOptions == nil {
		n.IPAMOptions = map[string]string{}
	}
	if n.NetworkInterface != "" || n.Driver == types.BridgeNetworkDriver {
		if err := checkInterface(n.NetworkInterface); err != nil {
			return err
		}
	}
	for _, server := range n.NetworkDNSServers {
		if _, err := netip.ParseAddr(server); err != nil {
			return fmt.Errorf("unable to parse ip %q specified in NetworkDNSServers: %w", server, types.ErrInvalidArg)
		}
	}
	return checkSubnets(n)
}

// printable is s, quoted if it would not stay on its line.
func printable(s string) string {
	if q := strconv.Quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

// checkInterface tests the name of an interface by the kernel's rules and
// podman's.
func checkInterface(name string) error {
	if !types.NameRegex.MatchString(name) {
		return fmt.Errorf("bridge name %s invalid: %w", printable(name), types.ErrInvalidName)
	}
	if len(name) > maxInterface {
		return fmt.Errorf("interface name %s is too long: the kernel takes %d characters at most", name, maxInterface)
	}
	return nil
}

// checkSubnets tests subnets, gateways and ranges, and fills in gateways.
func checkSubnets(n *types.Network) error {
	for i := range n.Subnets {
		s := &n.Subnets[i]
		p, err := prefix(s.Subnet)
		if err != nil {
			return err
		}
		s.Subnet = ipNet(p)
		for j := range i {
			other, err := prefix(n.Subnets[j].Subnet)
			if err == nil && other.Overlaps(p) {
				return fmt.Errorf("overlapping subnets detected: %s and %s", other, p)
			}
		}
		switch {
		case s.Gateway != nil && !s.Subnet.Contains(s.Gateway):
			return fmt.Errorf("gateway %s not in subnet %s", s.Gateway, p)
		case s.Gateway == nil && (!n.Internal || n.DNSEnabled):
			s.Gateway = p.Addr().Next().AsSlice()
			if p.IsSingleIP() {
				s.Gateway = p.Addr().AsSlice()
			}
		}
		s.Gateway = short(s.Gateway)
		if r := s.LeaseRange; r != nil {
			if r.StartIP != nil && !s.Subnet.Contains(r.StartIP) {
				return fmt.Errorf("lease range start ip %s not in subnet %s", r.StartIP, p)
			}
			if r.EndIP != nil && !s.Subnet.Contains(r.EndIP) {
				return fmt.Errorf("lease range end ip %s not in subnet %s", r.EndIP, p)
			}
			r.StartIP, r.EndIP = short(r.StartIP), short(r.EndIP)
		}
		if p.Addr().Is6() {
			n.IPv6Enabled = true
		}
	}
	return nil
}

// short is an IPv4 address in four bytes.
func short(ip net.IP) net.IP {
	if four := ip.To4(); four != nil {
		return four
	}
	return ip
}

func prefix(n types.IPNet) (netip.Prefix, error) {
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, errors.New("subnet ip is nil")
	}
	ones, bits := n.Mask.Size()
	if bits == 0 {
		return netip.Prefix{}, fmt.Errorf("subnet %s has no mask", n.IP)
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, ones-(bits-addr.BitLen())).Masked(), nil
}

func ipNet(p netip.Prefix) types.IPNet {
	p = p.Masked()
	return types.IPNet{IPNet: net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
}

// checkOptions tests the options of a new network's driver.
func checkOptions(n *types.Network) error {
	known := map[string][]string{
		types.BridgeNetworkDriver: {
			types.VLANOption, types.MTUOption, types.ModeOption, types.IsolateOption, types.MetricOption,
			types.NoDefaultRoute, types.VRFOption,
		},
		types.MacVLANNetworkDriver: {types.MTUOption, types.ModeOption, types.MetricOption, types.NoDefaultRoute, types.BclimOption},
		types.IPVLANNetworkDriver:  {types.MTUOption, types.ModeOption, types.MetricOption, types.NoDefaultRoute},
	}
	for name, value := range n.Options {
		if !slices.Contains(known[n.Driver], name) {
			return fmt.Errorf("unsupported %s network option %s: known are %s", n.Driver, name, strings.Join(known[n.Driver], ", "))
		}
		if err := checkOption(n.Driver, name, value); err != nil {
			return err
		}
	}
	return nil
}

func checkOption(driver, name, value string) error {
	number := func(limit uint64) error {
		if v, err := strconv.ParseUint(value, 10, 32); err != nil || v > limit {
			return fmt.Errorf("%s option %q: must be a number from 0 to %d", name, value, limit)
		}
		return nil
	}
	boolean := func() error {
		if _, err := strconv.ParseBool(value); err != nil {
			return fmt.Errorf("failed to parse %s option: %q is neither true nor false", name, value)
		}
		return nil
	}
	switch name {
	case types.MTUOption:
		return number(65535)
	case types.VLANOption:
		return number(4094)
	case types.MetricOption:
		return number(1<<32 - 1)
	case types.NoDefaultRoute:
		return boolean()
	case types.BclimOption:
		if _, err := strconv.ParseInt(value, 10, 32); err != nil {
			return fmt.Errorf("bclim option %q: must be a number", value)
		}
	case types.VRFOption:
		return checkInterface(value)
	case types.IsolateOption:
		if value != "strict" {
			return boolean()
		}
	case types.ModeOption:
		modes := map[string][]string{
			types.BridgeNetworkDriver: types.ValidBridgeModes, types.MacVLANNetworkDriver: types.ValidMacVLANModes,
			types.IPVLANNetworkDriver: types.ValidIPVLANModes,
		}[driver]
		if !slices.Contains(modes, value) {
			return fmt.Errorf("unknown %s mode %q: use one of %s", driver, value, strings.Join(modes, ", "))
		}
	}
	return nil
}

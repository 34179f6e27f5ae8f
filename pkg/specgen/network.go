package specgen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Bridge is the Network.Mode of containers that are on networks.
const Bridge = "bridge"

// Attachment is what a container is to have on one network.
type Attachment struct {
	// Name of the network; empty is the default one.
	Name string `json:"name"`
	// IPs are its addresses there, one a subnet at most.
	IPs []netip.Addr `json:"ips,omitempty"`
	MAC string       `json:"mac,omitempty"`
	// Aliases are further names it is known by there.
	Aliases []string `json:"aliases,omitempty"`
	// Interface is the name inside the container; empty: eth0, eth1, ….
	Interface string `json:"interface,omitempty"`
	// Options are the driver's.
	Options map[string]string `json:"options,omitempty"`
}

// maxInterface is the length of an interface's name.
const maxInterface = 15

// AddMode reads one --network: a mode, or a network, of which there may be several.
func (n *Network) AddMode(s string) error {
	name, _, _ := strings.Cut(s, ":")
	switch name {
	case "", "default", "private", "none", "host", "container", "ns", "pasta", "slirp4netns":
		if n.Mode != "" || len(n.Networks) > 0 {
			return fmt.Errorf("cannot set multiple networks without bridge network mode, selected mode %s", name)
		}
		if n.Mode = s; s == "default" || s == "private" {
			n.Mode = ""
		}
		return nil
	}
	if n.Mode != "" && n.Mode != Bridge {
		mode, _, _ := strings.Cut(n.Mode, ":")
		return fmt.Errorf("cannot set multiple networks without bridge network mode, selected mode %s", mode)
	}
	// Several in one word, NAME,NAME, as the field has it.
	if name == s {
		for part := range strings.SplitSeq(s, ",") {
			a, err := ParseAttachment(part)
			if err != nil {
				return err
			}
			n.Networks = append(n.Networks, a)
		}
		n.Mode = Bridge
		return nil
	}
	a, err := ParseAttachment(s)
	if err != nil {
		return err
	}
	n.Mode, n.Networks = Bridge, append(n.Networks, a)
	return nil
}

// ParseAttachment reads NAME[:OPTION=VALUE,…]; "bridge" names the default network.
func ParseAttachment(s string) (Attachment, error) {
	name, options, given := strings.Cut(s, ":")
	a := Attachment{Name: name}
	if name == Bridge {
		a.Name = ""
	}
	if !given {
		return a, nil
	}
	for option := range strings.SplitSeq(options, ",") {
		key, value, ok := strings.Cut(option, "=")
		if !ok || value == "" {
			return a, fmt.Errorf("invalid --network %q: write %s=VALUE", s, key)
		}
		switch key {
		case "ip", "ip6":
			ip, err := netip.ParseAddr(value)
			if err != nil {
				return a, fmt.Errorf("invalid --network %q: %q is no address", s, value)
			}
			a.IPs = append(a.IPs, ip.Unmap())
		case "mac":
			a.MAC = value
		case "alias":
			a.Aliases = append(a.Aliases, value)
		case "interface_name":
			a.Interface = value
		case "host_interface_name":
			if a.Options == nil {
				a.Options = map[string]string{}
			}
			a.Options[key] = value
		default:
			return a, fmt.Errorf("invalid --network %q: unknown option %s: known are ip, ip6, mac, alias, interface_name, host_interface_name", s, key)
		}
	}
	return a, nil
}

// Validate tests one attachment by itself.
func (a Attachment) Validate() error {
	if hasControl(a.Name) || strings.ContainsAny(a.Name, "/ ") {
		return fmt.Errorf("invalid network name %q", a.Name)
	}
	for i, ip := range a.IPs {
		if ip.Zone() != "" || ip.IsUnspecified() {
			return fmt.Errorf("network %s: invalid address %s", a.Name, ip)
		}
		if slices.Contains(a.IPs[:i], ip) {
			return fmt.Errorf("network %s: address %s is given twice", a.Name, ip)
		}
	}
	if a.MAC != "" {
		mac, err := net.ParseMAC(a.MAC)
		if err != nil || len(mac) != 6 {
			return fmt.Errorf("invalid mac address %q: write it as 92:d0:c6:0a:29:33", a.MAC)
		}
		if mac[0]&1 != 0 {
			return fmt.Errorf("invalid mac address %q: it is of a group, not of one interface", a.MAC)
		}
	}
	for _, alias := range a.Aliases {
		// It becomes a word of a line that aardvark-dns reads.
		if alias == "" || len(alias) > 253 || hasControl(alias) || strings.ContainsAny(alias, " ,/") {
			return fmt.Errorf("invalid network alias %q", alias)
		}
	}
	return checkInterface(a.Interface)
}

func checkInterface(name string) error {
	if name == "" {
		return nil
	}
	if len(name) > maxInterface || name == "." || name == ".." || name == "lo" || hasControl(name) || strings.ContainsAny(name, "/: ") {
		return fmt.Errorf("invalid interface name %q: at most %d characters, without '/', ':' and blanks, and not lo", name, maxInterface)
	}
	return nil
}

// CheckNetworks tests the attachments together.
func (n *Network) CheckNetworks() error {
	if len(n.Networks) == 0 {
		return nil
	}
	if n.Mode != Bridge {
		mode, _, _ := strings.Cut(n.Mode, ":")
		return fmt.Errorf("cannot set multiple networks without bridge network mode, selected mode %s", mode)
	}
	var names, interfaces []string
	for _, a := range n.Networks {
		if err := a.Validate(); err != nil {
			return err
		}
		if slices.Contains(names, a.Name) {
			return fmt.Errorf("network %s is given twice", or(a.Name, Bridge))
		}
		names = append(names, a.Name)
		if a.Interface != "" {
			if slices.Contains(interfaces, a.Interface) {
				return fmt.Errorf("interface name %s is given twice", a.Interface)
			}
			interfaces = append(interfaces, a.Interface)
		}
	}
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// errSingle says that an option is for containers on one network.
var errSingle = errors.New("can only be set for a single network: write --network NAME:ip=ADDRESS")

// SetSingle puts options that name no network on the only one there is.
func (n *Network) SetSingle(ips []netip.Addr, mac string, aliases []string) error {
	if len(ips) == 0 && mac == "" && len(aliases) == 0 {
		return nil
	}
	if n.Mode != Bridge {
		mode, _, _ := strings.Cut(or(n.Mode, "default"), ":")
		return fmt.Errorf("networks and static ip/mac address can only be used with Bridge mode networking: the mode is %s, add --network NAME", mode)
	}
	if len(n.Networks) == 0 {
		n.Networks = []Attachment{{}}
	}
	if len(n.Networks) > 1 && (len(ips) > 0 || mac != "") {
		return fmt.Errorf("--ip, --ip6 and --mac-address %w", errSingle)
	}
	first := &n.Networks[0]
	first.IPs = append(first.IPs, ips...)
	first.MAC = or(mac, first.MAC)
	for i := range n.Networks { // names are of all networks
		n.Networks[i].Aliases = append(n.Networks[i].Aliases, aliases...)
	}
	return nil
}

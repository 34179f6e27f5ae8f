package libpod

import (
	"net/netip"

	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/network/bridge"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// network shows the container's networks. The fields of the field's first days,
// beside the list, are filled by the only network there is.
func (in *inspection) network() InspectNetwork {
	n := InspectNetwork{Ports: in.openPorts(), SandboxKey: in.netns, Networks: in.networks()}
	if s := in.c.Spec.Network.Shape; s.Given() {
		n.Impaired = &InspectShape{RateIn: s.RateIn, RateOut: s.RateOut, Delay: s.Delay, Loss: s.Loss}
	}
	if in.mode != network.Bridge || len(n.Networks) != 1 {
		return n
	}
	for _, e := range n.Networks {
		n.Gateway, n.IPAddress, n.IPPrefixLen = e.Gateway, e.IPAddress, e.IPPrefixLen
		n.IPv6Gateway, n.GlobalIPv6Address, n.GlobalIPv6PrefixLen = e.IPv6Gateway, e.GlobalIPv6Address, e.GlobalIPv6PrefixLen
		n.MacAddress = e.MacAddress
		n.SecondaryIPAddresses, n.SecondaryIPv6Addresses = e.SecondaryIPAddresses, e.SecondaryIPv6Addresses
	}
	return n
}

// networks are the named ones. Neither pasta's nor slirp4netns' counts as one.
func (in *inspection) networks() map[string]*InspectEndpoint {
	switch in.mode {
	case network.Host, network.None:
		return map[string]*InspectEndpoint{in.mode: {NetworkID: in.mode}}
	case network.Bridge:
	default:
		return nil
	}
	if len(in.c.Spec.Network.Networks) == 0 { // it was disconnected from all
		return map[string]*InspectEndpoint{in.mode: {NetworkID: in.mode}}
	}
	all := map[string]*InspectEndpoint{}
	for _, a := range in.c.Spec.Network.Networks {
		e := endpointOf(in.c.ID, a, in.connections)
		if id, ok := in.networkIDs[a.Name]; ok {
			e.NetworkID = id
		}
		all[a.Name] = e
	}
	return all
}

// endpointOf shows what a container has on a network; of one that rests, what it
// asks for.
func endpointOf(id string, a specgen.Attachment, connections []bridge.Connection) *InspectEndpoint {
	e := &InspectEndpoint{NetworkID: a.Name, Aliases: append([]string(nil), a.Aliases...), DriverOpts: a.Options}
	if e.Aliases = append(e.Aliases, short(id)); len(a.IPs) > 0 {
		e.IPAMConfig = map[string]string{}
		for _, ip := range a.IPs {
			if ip.Is4() {
				e.IPAMConfig["IPv4Address"] = ip.String()
			} else {
				e.IPAMConfig["IPv6Address"] = ip.String()
			}
		}
	}
	for _, c := range connections {
		if c.Network != a.Name {
			continue
		}
		e.MacAddress = c.MAC
		for _, g := range c.Gateways {
			if g.Is4() {
				e.Gateway = g.String()
			} else {
				e.IPv6Gateway = g.String()
			}
		}
		for _, p := range c.Addresses {
			e.add(p)
		}
	}
	return e
}

// add adds an address: the first of its family, or one beside it.
func (e *InspectEndpoint) add(p netip.Prefix) {
	ip, bits := p.Addr().String(), p.Bits()
	switch {
	case p.Addr().Is4() && e.IPAddress == "":
		e.IPAddress, e.IPPrefixLen = ip, bits
	case p.Addr().Is4():
		e.SecondaryIPAddresses = append(e.SecondaryIPAddresses, InspectAddress{ip, bits})
	case e.GlobalIPv6Address == "":
		e.GlobalIPv6Address, e.GlobalIPv6PrefixLen = ip, bits
	default:
		e.SecondaryIPv6Addresses = append(e.SecondaryIPv6Addresses, InspectAddress{ip, bits})
	}
}

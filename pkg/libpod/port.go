package libpod

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/network/holder"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Published is a port that is published now.
type Published struct {
	specgen.PortMapping
	// KeepsSource: the container sees the addresses of its clients.
	KeepsSource bool
}

// Ports are the published ports of a container that runs, one mapping a port,
// random host ports resolved. A container in another's network has the ports of
// that one.
func (e *Engine) Ports(ctx context.Context, c *state.Container) ([]Published, error) {
	if !isLive(e.status(c)) {
		return nil, nil
	}
	// A chain of container:… ends somewhere; a ring ends with the bound.
	for range 16 {
		name, ok := strings.CutPrefix(c.Spec.Network.Mode, "container:")
		if !ok {
			break
		}
		other, err := e.state.Lookup(ctx, name)
		if err != nil {
			return nil, err
		}
		c = other
	}
	result, _ := NetworkOf(c)
	single := singlePorts(result.Ports)
	published := make([]Published, len(single))
	for i, p := range single {
		published[i] = Published{p, keepsSource(&result, p)}
	}
	return published, nil
}

// keepsSource says whether the container sees its clients' addresses: those of a
// family that it has none of itself cannot be shown to it.
func keepsSource(result *network.Result, p specgen.PortMapping) bool {
	ip, err := netip.ParseAddr(p.HostIP)
	return result.KeepsSource && (err != nil || ip.IsUnspecified() || slices.ContainsFunc(result.Addresses, func(own netip.Prefix) bool {
		return own.Addr().Is4() == ip.Unmap().Is4()
	}))
}

// choosePorts chooses free host ports where the user gave none, so that they are
// the same from start to start.
func choosePorts(c *state.Container) error {
	n := &c.Spec.Network
	driver, _, err := network.Mode(*n, true, "")
	if err != nil || c.Volatile || driver == network.None || driver == network.Host ||
		!slices.ContainsFunc(n.Ports, func(p specgen.PortMapping) bool { return p.HostPort == 0 }) {
		return nil //nolint:nilerr // the start says what is wrong with it
	}
	var random []specgen.PortMapping
	for _, p := range n.Ports {
		if p.HostPort == 0 {
			random = append(random, p)
		}
	}
	if random, err = network.ResolvePorts(random); err != nil {
		return err
	}
	n.Ports = slices.Clone(n.Ports)
	for i := range n.Ports {
		if n.Ports[i].HostPort == 0 {
			n.Ports[i], random = random[0], random[1:]
		}
	}
	return nil
}

// keepPorts writes down what a start had to choose anew.
func (e *Engine) keepPorts(ctx context.Context, c *state.Container, result *network.Result) error {
	if c.Volatile || len(result.Ports) == 0 || slices.Equal(result.Ports, c.Spec.Network.Ports) {
		return nil
	}
	if !slices.ContainsFunc(result.Ports, func(p specgen.PortMapping) bool { return p.Random }) {
		return nil
	}
	c.Spec.Network.Ports = slices.Clone(result.Ports)
	return e.state.Update(ctx, c)
}

// whoHasPort completes the error of a port that is taken with who has it.
func (e *Engine) whoHasPort(ctx context.Context, err error) error {
	var taken *network.PortError
	if !errors.As(err, &taken) {
		return err
	}
	address, _ := netip.ParseAddr(taken.Port.HostIP) // invalid: all
	if name := e.portHolder(ctx, taken.Port, address); name != "" {
		taken.By, taken.Remedy = "container "+name, fmt.Sprintf("choose another port or `pod stop %s`", name)
		return err
	}
	socket, ok := holder.Find(taken.Port.Protocol, address, taken.Port.HostPort)
	switch {
	case !ok:
	case socket.UID != os.Getuid():
		taken.By = "a process of another user"
	default:
		if taken.By = socket.Process(ctx, e.Session.Rootless); taken.By == "" {
			taken.By = "another process of yours"
		}
	}
	return err
}

// portHolder is the running container of this store that has a host port.
func (e *Engine) portHolder(ctx context.Context, port specgen.PortMapping, address netip.Addr) string {
	all, err := e.state.List(ctx)
	if err != nil {
		return ""
	}
	for _, c := range all {
		result, ok := NetworkOf(c)
		if !ok || !isLive(e.status(c)) {
			continue
		}
		for _, p := range singlePorts(result.Ports) {
			theirs, _ := netip.ParseAddr(p.HostIP)
			if p.HostPort == port.HostPort && p.Protocol == port.Protocol && holder.Overlap(theirs, address) {
				return c.Name
			}
		}
	}
	return ""
}

// singlePorts splits ranges into their ports.
func singlePorts(ports []specgen.PortMapping) []specgen.PortMapping {
	single := make([]specgen.PortMapping, 0, len(ports))
	for _, p := range ports {
		for i := range max(p.Range, 1) {
			one := p
			one.ContainerPort, one.HostPort, one.Range, one.Random = p.ContainerPort+i, p.HostPort+i, 1, false
			single = append(single, one)
		}
	}
	return single
}

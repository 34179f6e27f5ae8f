package libpod

import (
	"context"
	"strings"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Ports are the published ports of a container that runs, one mapping a port,
// random host ports resolved. A container in another's network has the ports of
// that one.
func (e *Engine) Ports(ctx context.Context, c *state.Container) ([]specgen.PortMapping, error) {
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
	return singlePorts(result.Ports), nil
}

// singlePorts splits ranges into their ports.
func singlePorts(ports []specgen.PortMapping) []specgen.PortMapping {
	single := make([]specgen.PortMapping, 0, len(ports))
	for _, p := range ports {
		for i := range max(p.Range, 1) {
			one := p
			one.ContainerPort, one.HostPort, one.Range = p.ContainerPort+i, p.HostPort+i, 1
			single = append(single, one)
		}
	}
	return single
}

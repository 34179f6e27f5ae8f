package libpod

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/network/bridge"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Connect puts a container on one more network, at once if it runs.
func (e *Engine) Connect(ctx context.Context, nameOrID string, a specgen.Attachment) error {
	n, err := e.Networks().Lookup(a.Name)
	if err != nil {
		return err
	}
	a.Name = n.Name
	if err := errors.Join(a.Validate(), bridge.Fits(n, a)); err != nil {
		return err
	}
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	if err := checkBridged(c); err != nil {
		return err
	}
	before := c.Spec.Network.Networks
	if slices.ContainsFunc(before, func(b specgen.Attachment) bool { return b.Name == n.Name }) {
		if !isLive(e.status(c)) {
			return nil // as in the field
		}
		return fmt.Errorf("container %s is already connected to network %q: network is already connected", c.Name, n.Name)
	}
	c.Spec.Network.Networks = append(slices.Clone(before), a)
	if err := c.Spec.Network.CheckNetworks(); err != nil {
		return err
	}
	if err := step.Do(ctx, "state.connect", func() error { return e.state.Update(ctx, c) }); err != nil {
		return err
	}
	if err := e.connectRunning(ctx, c, a); err != nil {
		c.Spec.Network.Networks = before
		return errors.Join(err, e.state.Update(context.WithoutCancel(ctx), c))
	}
	e.networkEvent(ctx, "connect", n, c)
	return nil
}

// checkBridged refuses containers whose network is none of ours.
func checkBridged(c *state.Container) error {
	if c.Spec.Network.Mode == network.Bridge {
		return nil
	}
	return fmt.Errorf("container %s: %q is not supported: invalid network mode: only containers made with --network bridge or --network NAME can be connected", c.Name, NetworkMode(c))
}

// connectRunning connects a container that runs, and rewrites its files.
func (e *Engine) connectRunning(ctx context.Context, c *state.Container, a specgen.Attachment) error {
	result, ok := NetworkOf(c)
	if !isLive(e.status(c)) || !ok {
		return nil
	}
	taken := make([]string, 0, len(result.Connections)+1)
	for _, have := range result.Connections {
		taken = append(taken, have.Interface)
	}
	if len(taken) == 0 {
		taken = append(taken, "lo") // it goes on if this fails
	}
	joined, err := e.networks().Connect(ctx, bridge.Container{
		ID: c.ID, Name: e.networkName(ctx, c), Hostname: e.hostname(c), NetNS: result.NetNS,
		Attachments: []specgen.Attachment{a}, Taken: taken, DNS: c.Spec.Network.DNS, Ports: result.Ports,
	})
	if err != nil {
		return err
	}
	for _, w := range joined.Warnings {
		e.Warn(w)
	}
	result.Connections = append(result.Connections, joined.Connections...)
	result.DNS, result.HostAddress = joined.Forward, joined.HostAddress
	return e.recordNetwork(ctx, c, &result)
}

// recordNetwork writes down what a running container has, and its files anew.
func (e *Engine) recordNetwork(ctx context.Context, c *state.Container, result *network.Result) error {
	result.Addresses = nil
	for _, have := range result.Connections {
		result.Addresses = append(result.Addresses, have.Addresses...)
	}
	if err := noteNetwork(c, result); err != nil {
		return err
	}
	if err := step.Do(ctx, "state.network", func() error { return e.state.SetRun(ctx, c.ID, c.Run) }); err != nil {
		return err
	}
	if c.Spec.Network.Shape.Given() { // an interface may be new
		if err := e.shapeNetwork(ctx, c, result); err != nil {
			return err
		}
	}
	return e.writeNetFiles(ctx, c, &launch{dir: e.paths.container(c.ID), root: fmt.Sprintf("/proc/%d/root", c.Run.Init.PID)}, result)
}

// Disconnect takes a container off a network, at once if it runs.
func (e *Engine) Disconnect(ctx context.Context, nameOrID, networkName string, force bool) error {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	n, err := e.Networks().Lookup(networkName)
	switch {
	case err == nil:
		networkName = n.Name
	case !force || !errors.Is(err, types.ErrNoSuchNetwork):
		return err
	default: // its definition is gone; what the container has of it can go too
		n = &types.Network{Name: networkName}
	}
	if err := checkBridged(c); err != nil {
		return err
	}
	all := c.Spec.Network.Networks
	i := slices.IndexFunc(all, func(a specgen.Attachment) bool { return a.Name == networkName })
	if i < 0 {
		return fmt.Errorf("container %s is not connected to network %s: network is not connected", c.Name, networkName)
	}
	if err := e.disconnectRunning(ctx, c, networkName); err != nil && !force {
		return err
	}
	c.Spec.Network.Networks = slices.Delete(slices.Clone(all), i, i+1)
	if err := step.Do(ctx, "state.connect", func() error { return e.state.Update(ctx, c) }); err != nil {
		return err
	}
	e.networkEvent(ctx, "disconnect", n, c)
	return nil
}

func (e *Engine) disconnectRunning(ctx context.Context, c *state.Container, name string) error {
	result, ok := NetworkOf(c)
	if !isLive(e.status(c)) || !ok {
		return nil
	}
	i := slices.IndexFunc(result.Connections, func(have bridge.Connection) bool { return have.Network == name })
	if i < 0 {
		return nil
	}
	one := network.Result{Connections: result.Connections[i : i+1]}
	if err := e.networks().Disconnect(ctx, bridge.Container{
		ID: c.ID, Name: c.Name, NetNS: result.NetNS, Attachments: connected(&one), Ports: result.Ports,
	}); err != nil {
		return err
	}
	result.Connections = slices.Delete(slices.Clone(result.Connections), i, i+1)
	return e.recordNetwork(ctx, c, &result)
}

// ReloadNetwork takes a running container off its networks and puts it on them
// again, with the addresses it has: rules that others removed are there again.
func (e *Engine) ReloadNetwork(ctx context.Context, nameOrID string) (*state.Container, error) {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	if err := checkBridged(c); err != nil {
		return nil, err
	}
	result, ok := NetworkOf(c)
	if !isLive(e.status(c)) || !ok {
		return nil, improper("reload the network of", c.ID, c.Name, e.status(c), "start it")
	}
	who := bridge.Container{
		ID: c.ID, Name: c.Name, Hostname: e.hostname(c), NetNS: result.NetNS, Attachments: connected(&result), DNS: c.Spec.Network.DNS, Ports: result.Ports,
	}
	joined, err := e.networks().Reload(ctx, who)
	if err != nil {
		return nil, err
	}
	for _, w := range joined.Warnings {
		e.Warn(w)
	}
	result.Connections = joined.Connections
	return c, e.recordNetwork(ctx, c, &result)
}

// UpdateNetwork changes the name servers of a network, also for containers that
// run.
func (e *Engine) UpdateNetwork(ctx context.Context, name string, add, drop []string) error {
	n, changed, err := e.Networks().UpdateDNS(name, add, drop)
	if err != nil || !changed {
		return err
	}
	return e.networks().Update(ctx, n)
}

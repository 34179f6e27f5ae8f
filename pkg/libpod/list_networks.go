package libpod

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"go.podman.io/common/libnetwork/types"
	"go.podman.io/common/libnetwork/util"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network/bridge"
)

// InspectedNetwork is a network with the running containers on it.
type InspectedNetwork struct {
	types.Network
	Containers map[string]NetworkMember `json:"containers"`
}

// NetworkMember is a running container on a network.
type NetworkMember struct {
	Name       string                        `json:"name"`
	Interfaces map[string]types.NetInterface `json:"interfaces,omitempty"`
}

// InspectNetwork shows a network.
func (e *Engine) InspectNetwork(ctx context.Context, nameOrID string) (*InspectedNetwork, error) {
	n, err := e.Networks().Lookup(nameOrID)
	if err != nil {
		return nil, err
	}
	using, err := e.networkUsers(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	shown := &InspectedNetwork{Network: *n, Containers: map[string]NetworkMember{}}
	for _, c := range using {
		result, ok := NetworkOf(c)
		if !ok || !isLive(e.status(c)) {
			continue
		}
		for _, have := range result.Connections {
			if have.Network == n.Name {
				shown.Containers[c.ID] = member(c, have)
			}
		}
	}
	return shown, nil
}

func member(c *state.Container, have bridge.Connection) NetworkMember {
	face := types.NetInterface{}
	if mac, err := net.ParseMAC(have.MAC); err == nil {
		face.MacAddress = types.HardwareAddr(mac)
	}
	for _, p := range have.Addresses {
		a := types.NetAddress{IPNet: types.IPNet{IPNet: net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}}
		for _, g := range have.Gateways {
			if g.Is4() == p.Addr().Is4() {
				a.Gateway = g.AsSlice()
			}
		}
		face.Subnets = append(face.Subnets, a)
	}
	return NetworkMember{Name: c.Name, Interfaces: map[string]types.NetInterface{have.Interface: face}}
}

// ListNetworks lists the networks that match all filters, KEY=VALUE, and what is
// wrong with definitions that cannot be read.
func (e *Engine) ListNetworks(ctx context.Context, filters []string) ([]types.Network, []error, error) {
	return e.filterNetworks(ctx, filters, util.GenerateNetworkFilters)
}

func (e *Engine) filterNetworks(
	ctx context.Context, filters []string, generate func(map[string][]string) ([]types.FilterFunc, error),
) ([]types.Network, []error, error) {
	values := map[string][]string{}
	var dangling *bool
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if strings.HasSuffix(key, "!") && key != "label!" || !ok {
			return nil, nil, fmt.Errorf("invalid filter %q: write KEY=VALUE", f)
		}
		if key == "dangling" {
			b, err := strconv.ParseBool(value)
			if err != nil {
				return nil, nil, fmt.Errorf("invalid dangling filter value %q: use true or false", value)
			}
			dangling = &b
			continue
		}
		values[key] = append(values[key], value)
	}
	tests, err := generate(values)
	if err != nil {
		return nil, nil, err
	}
	all, wrong, err := e.Networks().List()
	if err != nil {
		return nil, nil, err
	}
	if dangling != nil {
		used, err := e.usedNetworks(ctx)
		if err != nil {
			return nil, nil, err
		}
		tests = append(tests, func(n types.Network) bool {
			return n.Name != e.Networks().Default() && used[n.Name] != *dangling
		})
	}
	return slices.DeleteFunc(all, func(n types.Network) bool {
		return slices.ContainsFunc(tests, func(test types.FilterFunc) bool { return !test(n) })
	}), wrong, nil
}

// usedNetworks are the networks that containers are on.
func (e *Engine) usedNetworks(ctx context.Context) (map[string]bool, error) {
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, c := range all {
		for _, name := range networkNames(c) {
			used[name] = true
		}
	}
	return used, nil
}

// PruneNetworks removes the networks that no container is on and that match the
// filters.
func (e *Engine) PruneNetworks(ctx context.Context, filters []string) (removed []types.Network, err error) {
	for _, f := range filters {
		if key, _, _ := strings.Cut(f, "="); key == "dangling" {
			return nil, fmt.Errorf("invalid filter %q", key)
		}
	}
	all, _, err := e.filterNetworks(ctx, filters, util.GenerateNetworkPruneFilters)
	if err != nil {
		return nil, err
	}
	used, err := e.usedNetworks(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		if used[n.Name] || n.Name == e.Networks().Default() {
			continue
		}
		_, err := e.RemoveNetwork(ctx, n.ID, false, nil)
		var inUse *NetworkInUseError
		switch {
		case errors.As(err, &inUse): // by podman, or since just now
			continue
		case errors.Is(err, types.ErrNoSuchNetwork):
			continue
		case err != nil:
			return removed, err
		}
		removed = append(removed, n)
	}
	return removed, nil
}

// Bridged lists the running containers that are on networks.
func (e *Engine) Bridged(ctx context.Context) ([]string, error) {
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range all {
		if isLive(e.status(c)) && len(c.Spec.Network.Networks) > 0 {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

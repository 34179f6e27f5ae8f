package libpod

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/network/bridge"
	"github.com/rootless-pod/pod/pkg/network/ipam"
	"github.com/rootless-pod/pod/pkg/network/netconf"
	"github.com/rootless-pod/pod/pkg/network/shared"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Places of real root's networks, which are podman's too.
const (
	rootNetworks   = "/etc/containers/networks"
	rootNetworkRun = "/run/containers/networks"
	rootNetLock    = "/run/lock/netavark.lock"
)

// networks returns what connects containers to networks. It costs nothing until
// it is used.
func (e *Engine) networks() *bridge.Manager {
	e.bridges.Do(func() {
		conf := &e.Config.Network
		user := e.UserNet()
		cfg := bridge.Config{
			User: user, Dir: filepath.Join(e.paths.net, "bridge"), CacheDir: e.paths.net, Lock: rootNetLock,
			Netavark: e.helper("netavark"), Aardvark: e.helper("aardvark-dns"),
			Firewall: conf.FirewallDriver, DNSPort: conf.DNSBindPort, Plugins: conf.NetavarkPluginDirs.Get(), Resolv: hostResolv,
			Settle: e.settleLease,
		}
		if !user.Rootless {
			cfg.Dir = rootNetworkRun
		}
		cfg.Networks = netconf.Open(e.networkOptions())
		e.bridge = bridge.New(cfg)
	})
	return e.bridge
}

// Networks are the definitions of networks.
func (e *Engine) Networks() *netconf.Store { return e.networks().Networks() }

func (e *Engine) helper(name string) string {
	path, err := e.Config.FindHelperBinary(name, true)
	if err != nil {
		return ""
	}
	return path
}

// networkOptions says where definitions are, as podman finds them.
func (e *Engine) networkOptions() netconf.Options {
	conf := &e.Config.Network
	o := netconf.Options{Dir: e.NetworkConfigDir, Default: conf.DefaultNetwork, Taken: taken, Parents: !e.Session.Rootless}
	if o.Dir == "" {
		o.Dir = conf.NetworkConfigDir
	}
	if o.Dir == "" {
		o.Dir = rootNetworks
		if e.Session.Rootless {
			o.Dir = filepath.Join(e.GraphRoot, "networks")
		}
	}
	o.LockFile = rootNetLock
	if e.Session.Rootless {
		o.LockFile = filepath.Join(o.Dir, "netavark.lock")
	}
	if o.Default == "" {
		o.Default = types.DefaultNetworkName
	}
	var err error
	if o.DefaultSubnet, err = netip.ParsePrefix(conf.DefaultSubnet); err != nil {
		o.DefaultSubnet = netip.MustParsePrefix(types.DefaultSubnet)
	}
	for _, pool := range conf.DefaultSubnetPools {
		if pool.Base == nil {
			continue
		}
		if base, err := netip.ParsePrefix(pool.Base.String()); err == nil {
			o.Pools = append(o.Pools, netconf.Pool{Base: base, Bits: pool.Size})
		}
	}
	return o
}

// taken is what the host's interfaces have.
func taken() (subnets []netip.Prefix, names []string, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, nil, err
	}
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, nil, err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			subnets = append(subnets, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()).Masked())
		}
	}
	return subnets, names, nil
}

// findNetworks puts the names of networks in the place of what the user wrote, and
// refuses what no network can give.
func (e *Engine) findNetworks(n *specgen.Network) error {
	if n.Mode == network.Bridge && len(n.Networks) == 0 {
		n.Networks = []specgen.Attachment{{}}
	}
	for i := range n.Networks {
		a := &n.Networks[i]
		found, err := e.networks().Find(a.Name)
		if err != nil {
			return err
		}
		if err := bridge.Fits(found, *a); err != nil {
			return err
		}
		a.Name = found.Name
	}
	return nil
}

// networkNames are the names of a container's networks.
func networkNames(c *state.Container) []string {
	names := []string{}
	for _, a := range c.Spec.Network.Networks {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return names
}

// networkIDs are the ids of a container's networks, by name.
func (e *Engine) networkIDs(c *state.Container) map[string]string {
	ids := map[string]string{}
	for _, name := range networkNames(c) {
		if n, err := e.Networks().Lookup(name); err == nil {
			ids[name] = n.ID
		}
	}
	return ids
}

// byNetwork filters by a network's name or id, or by the mode.
func (e *Engine) byNetwork(value string) func(*state.Container) bool {
	name := value
	if n, err := e.Networks().Lookup(value); err == nil {
		name = n.Name
	}
	return func(c *state.Container) bool {
		return NetworkMode(c) == value || slices.Contains(networkNames(c), name)
	}
}

// mendNetworks brings back what serves networks and was killed, for containers
// that run on. It costs a system call where there are no networks.
func (e *Engine) mendNetworks(ctx context.Context) {
	if _, err := os.Lstat(filepath.Join(e.paths.net, "user", "namespace.json")); err != nil {
		return
	}
	if err := e.networks().Mend(ctx); err != nil {
		e.Warn("networks could not be mended: " + err.Error())
	}
}

// endNetwork removes the container's network namespace and helper. What a
// killed start left is found by the id.
func (e *Engine) endNetwork(ctx context.Context, c *state.Container) error {
	result, ok := NetworkOf(c)
	if !ok {
		if c.Run == nil || c.Run.Phase == state.PhaseCreating {
			return nil
		}
		return e.undoNetwork(ctx, c.ID)
	}
	var errs []error
	if result.Driver == network.Bridge && !e.Session.Rootless {
		errs = append(errs, e.networks().Disconnect(ctx, bridge.Container{
			ID: c.ID, Name: c.Name, NetNS: result.NetNS, Attachments: connected(&result), Ports: result.Ports,
		}))
	}
	errs = append(errs, network.Teardown(ctx, result))
	if result.Shared {
		errs = append(errs, shared.Leave(ctx, e.UserNet(), c.ID, result.NetNS))
	}
	if result.Driver == network.Bridge {
		errs = append(errs, e.networks().Leave(ctx, c.ID))
	}
	return errors.Join(errs...)
}

// undoNetwork removes what a killed pod left of a container's network.
func (e *Engine) undoNetwork(ctx context.Context, id string) error {
	return network.Undo(ctx, network.Request{ID: id, NetNSDir: e.paths.netns, RunDir: e.paths.net, Bridge: e.networks()})
}

// settleLease gives back the addresses of a container that does not run, whose
// end a killed pod has not seen. Those of real root's networks may be podman's.
func (e *Engine) settleLease(ctx context.Context, id string) bool {
	lock, free, err := e.state.TryLock(id)
	if err != nil || !free {
		return false
	}
	defer e.unlock(lock)
	c, err := e.settle(ctx, id)
	switch {
	case isAbsent(err) && e.Session.Rootless:
	case err != nil || isLive(e.status(c)):
		return false
	}
	return e.networks().Leave(context.WithoutCancel(ctx), id) == nil
}

// connected are the networks that a running container has, with what each gave.
func connected(result *network.Result) []specgen.Attachment {
	var all []specgen.Attachment
	for _, c := range result.Connections {
		a := specgen.Attachment{Name: c.Network, MAC: c.MAC, Interface: c.Interface, Aliases: c.Aliases}
		for _, p := range c.Addresses {
			a.IPs = append(a.IPs, p.Addr())
		}
		all = append(all, a)
	}
	return all
}

// users are the containers that are on a network.
func (e *Engine) networkUsers(ctx context.Context, name string) ([]*state.Container, error) {
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	var using []*state.Container
	for _, c := range all {
		if slices.Contains(networkNames(c), name) {
			using = append(using, c)
		}
	}
	return using, nil
}

// RemoveNetwork removes a network and returns what it was. With force containers
// on it are removed first, stopped for as long as timeout says; else it must not
// be in use.
func (e *Engine) RemoveNetwork(ctx context.Context, nameOrID string, force bool, timeout *uint) (*types.Network, error) {
	n, err := e.Networks().Lookup(nameOrID)
	if err != nil {
		return nil, err
	}
	if force && n.Name != e.Networks().Default() {
		using, err := e.networkUsers(ctx, n.Name)
		if err != nil {
			return nil, err
		}
		for _, c := range using {
			if err := e.removeUser(ctx, c, timeout); err != nil {
				return nil, err
			}
		}
	}
	return n, e.Networks().Remove(n.ID, func(n *types.Network) error {
		using, err := e.networkUsers(ctx, n.Name)
		if err != nil {
			return err
		}
		by := namesOf(using)
		foreign, err := e.foreignHolders(ctx, n.Name)
		if err != nil {
			return err
		}
		if by = append(by, foreign...); len(by) > 0 {
			return &NetworkInUseError{Name: n.Name, By: by}
		}
		return e.networks().RemoveNetwork(n)
	})
}

// foreignHolders are running containers of podman that have an address on a
// network.
func (e *Engine) foreignHolders(ctx context.Context, name string) ([]string, error) {
	path := filepath.Join(rootNetworkRun, "ipam.db")
	if e.Session.Rootless {
		path = filepath.Join(e.RunRoot, "networks", "ipam.db")
	}
	holders, err := ipam.Open(path).Holders()
	if err != nil || len(holders[name]) == 0 {
		return nil, err
	}
	var foreign []string
	for _, id := range holders[name] {
		if _, err := e.state.Get(ctx, id); isAbsent(err) {
			foreign = append(foreign, short(id)+" of podman")
		}
	}
	return foreign, nil
}

func (e *Engine) removeUser(ctx context.Context, c *state.Container, timeout *uint) error {
	_, err := e.Remove(ctx, c.ID, RemoveOptions{Force: true, Volumes: true, Needed: true, Timeout: timeout})
	if isAbsent(err) {
		return nil
	}
	return err
}

// NetworkInUseError says that containers are on a network.
type NetworkInUseError struct {
	Name string
	By   []string
}

func (e *NetworkInUseError) Error() string {
	return fmt.Sprintf("%q has associated containers with it (%s): use -f to forcibly delete containers and pods: network is being used", e.Name, strings.Join(e.By, ", "))
}

func namesOf(all []*state.Container) []string {
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = c.Name
	}
	return out
}

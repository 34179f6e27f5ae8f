package bridge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"go.podman.io/common/libnetwork/types"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/internal/wholefile"
	"github.com/rootless-pod/pod/pkg/network/aardvark"
	"github.com/rootless-pod/pod/pkg/network/firewall"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netavark"
	"github.com/rootless-pod/pod/pkg/network/usernet"
)

func (m *Manager) ipam() string { return filepath.Join(m.cfg.Dir, "ipam.db") }

// built is the file that says a network is in place: in which namespace, and by
// which definition.
func (m *Manager) built(network string) string {
	return filepath.Join(m.cfg.Dir, "built", network)
}

// lockNetwork orders those who build a network, alone, before those who only
// connect to it.
func (m *Manager) lockNetwork(network string, how int) (func(), error) {
	dir := filepath.Join(m.cfg.Dir, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("lock network %s: %w", network, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, network), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock network %s: %w", network, err)
	}
	if err := flock.Lock(f, how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock network %s: %w", network, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// stamp is the content of a network's built file.
func stamp(ns *usernet.Namespace, n *types.Network) string {
	same := *n
	same.Created = time.Time{} // the default network's is now, as long as no file defines it
	data, _ := json.Marshal(same)
	sum := sha256.Sum256(data)
	return strconv.FormatUint(ns.Inode(), 10) + " " + hex.EncodeToString(sum[:16])
}

func (m *Manager) isBuilt(ns *usernet.Namespace, n *types.Network) bool {
	data, err := os.ReadFile(m.built(n.Name))
	return err == nil && string(data) == stamp(ns, n)
}

// build connects the container, and builds the networks that are not in place.
func (m *Manager) build(ctx context.Context, p *plan) (map[string]types.StatusBlock, error) {
	if !m.cfg.User.Rootless {
		return m.netavark(ctx, p)
	}
	var fresh []*types.Network
	// In the order of names, so that two who want the same do not wait for each
	// other.
	for _, i := range byName(p.networks) {
		n := &p.networks[i]
		unlock, err := m.lockNetwork(n.Name, unix.LOCK_SH)
		if err != nil {
			return nil, err
		}
		if !m.isBuilt(p.ns, n) {
			unlock()
			if unlock, err = m.lockNetwork(n.Name, unix.LOCK_EX); err != nil {
				return nil, err
			}
			if !m.isBuilt(p.ns, n) {
				fresh = append(fresh, n)
			}
		}
		defer unlock()
	}
	for _, n := range fresh {
		if err := m.clear(p, n); err != nil {
			return nil, err
		}
	}
	status, err := m.withRules(ctx, p, fresh)
	if err != nil {
		return nil, err
	}
	for _, n := range fresh {
		if err := m.markBuilt(p.ns, n); err != nil {
			return nil, err
		}
	}
	return status, nil
}

func (m *Manager) markBuilt(ns *usernet.Namespace, n *types.Network) error {
	path := m.built(n.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("mark network %s: %w", n.Name, err)
	}
	if err := wholefile.Write(path, ".new-*", []byte(stamp(ns, n))); err != nil {
		return fmt.Errorf("mark network %s: %w", n.Name, err)
	}
	return nil
}

// withRules runs netavark and writes the rules of new networks beside it.
func (m *Manager) withRules(ctx context.Context, p *plan, fresh []*types.Network) (map[string]types.StatusBlock, error) {
	if !p.rules || len(fresh) == 0 {
		return m.netavark(ctx, p)
	}
	rules := make(chan error, 1)
	go func() {
		rules <- step.Do(ctx, "network.rules", func() error {
			return p.ns.Do(func() error {
				for _, n := range fresh {
					if n.Driver != types.BridgeNetworkDriver {
						continue
					}
					if err := firewall.Apply(rulesOf(n)); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}()
	status, err := m.netavark(ctx, p)
	ruled := <-rules
	if err == nil && errors.Is(ruled, firewall.ErrUnsupported) {
		// netavark may know another way, by iptables of old. What it has connected
		// would be in its way.
		if err := p.teardown(ctx); err != nil {
			return nil, err
		}
		p.rules, p.tool.Firewall = false, netavark.Chosen
		return m.netavark(ctx, p)
	}
	if err == nil {
		err = ruled
	}
	return status, err
}

// netavark connects the container.
func (m *Manager) netavark(ctx context.Context, p *plan) (map[string]types.StatusBlock, error) {
	var status map[string]types.StatusBlock
	err := step.Do(ctx, "network.netavark", func() error {
		setup := func() (err error) {
			return p.ns.Do(func() (err error) {
				status, err = p.tool.Setup(ctx, p.c.NetNS, p.request())
				return err
			})
		}
		err := setup()
		if errors.Is(err, netavark.ErrNoFirewall) && p.rules {
			p.rules, p.tool.Firewall = false, netavark.Chosen
			err = setup()
		}
		return explain(err, p.networks)
	})
	return status, err
}

// explain adds to netavark's error, which names neither network nor cause, what
// the kernel's numbers mean.
func explain(err error, networks []types.Network) error {
	if err == nil {
		return nil
	}
	for i := range networks {
		n := &networks[i]
		special := n.Driver != types.BridgeNetworkDriver || n.Options[types.VLANOption] != "" || n.Options[types.VRFOption] != ""
		switch text := err.Error(); {
		case special && strings.Contains(text, "os error 95"):
			return fmt.Errorf("%w: this kernel lacks what network %s needs (driver %s, options %s)", err, n.Name, n.Driver, options(n))
		case n.Driver != types.BridgeNetworkDriver && strings.Contains(text, "os error 19"):
			return fmt.Errorf("%w: network %s has parent %s, which is no interface there: pod unshare --rootless-netns ip link shows those of a user's networks",
				err, n.Name, n.NetworkInterface)
		}
	}
	return err
}

func options(n *types.Network) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(n.Options)) {
		all = append(all, name+"="+n.Options[name])
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ",")
}

// unbuild takes the container off the plan's networks by netavark, which also
// removes bridges that have nobody left: nobody may come to them meanwhile.
func (m *Manager) unbuild(ctx context.Context, p *plan) error {
	if p.ns == nil {
		ns, ok := usernet.Look(m.cfg.User)
		if !ok {
			return nil
		}
		p.ns = ns
	}
	if !m.cfg.User.Rootless {
		return p.teardown(ctx)
	}
	for _, i := range byName(p.networks) {
		unlock, err := m.lockNetwork(p.networks[i].Name, unix.LOCK_EX)
		if err != nil {
			return err
		}
		defer unlock()
	}
	err := p.teardown(ctx)
	for i := range p.networks {
		if gone := m.forgetGone(p, &p.networks[i]); err == nil {
			err = gone
		}
	}
	return err
}

func (p *plan) teardown(ctx context.Context) error {
	return step.Do(ctx, "network.disconnect", func() error {
		return p.ns.Do(func() error { return p.tool.Teardown(ctx, p.c.NetNS, p.request()) })
	})
}

// forgetGone removes what belongs to a bridge that is gone.
func (m *Manager) forgetGone(p *plan, n *types.Network) error {
	if n.Driver != types.BridgeNetworkDriver {
		return nil
	}
	return p.ns.Do(func() error {
		if _, err := net.InterfaceByName(n.NetworkInterface); err == nil {
			return nil
		}
		return m.forget(n)
	})
}

// forget removes a network's rules and mark; the caller is in the namespace.
func (m *Manager) forget(n *types.Network) error {
	if err := os.Remove(m.built(n.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget network %s: %w", n.Name, err)
	}
	if err := firewall.Remove(rulesOf(n).Table); err != nil && !errors.Is(err, firewall.ErrUnsupported) {
		return err
	}
	return nil
}

// clear removes a bridge that a killed netavark has left half made, or that was
// made by another definition, if nobody is connected to it: netavark takes a
// bridge that is there for a whole one.
func (m *Manager) clear(p *plan, n *types.Network) error {
	if n.Driver != types.BridgeNetworkDriver || n.Options[types.ModeOption] == types.BridgeModeUnmanaged {
		return nil
	}
	return p.ns.Do(func() error { return removeIdle(n.NetworkInterface) })
}

// removeIdle removes a bridge of the calling thread's namespace that has no
// ports. None is no error.
func removeIdle(name string) error {
	if _, err := net.InterfaceByName(name); err != nil {
		return nil //nolint:nilerr // most often: there is none
	}
	found, err := netlink.LinkByName(name)
	if err != nil {
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			return nil
		}
		return fmt.Errorf("look at bridge %s: %w", name, err)
	}
	if found.Type() != "bridge" {
		return fmt.Errorf("interface %s is there and is no bridge: give the network another --interface-name", name)
	}
	all, err := link.List()
	if err != nil {
		return fmt.Errorf("look at bridge %s: %w", name, err)
	}
	for _, l := range all {
		if l.Attrs().MasterIndex == found.Attrs().Index {
			return nil
		}
	}
	if err := netlink.LinkDel(found); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove bridge %s: %w", name, err)
	}
	return nil
}

// rulesOf is what the firewall must know of a network.
func rulesOf(n *types.Network) firewall.Network {
	f := firewall.Network{Table: "pod-" + n.NetworkInterface, Bridge: n.NetworkInterface, Internal: n.Internal}
	for _, s := range n.Subnets {
		ip, ok := netip.AddrFromSlice(s.Subnet.IP)
		ones, _ := s.Subnet.Mask.Size()
		if ok {
			f.Subnets = append(f.Subnets, netip.PrefixFrom(ip.Unmap(), ones).Masked())
		}
	}
	isolate := n.Options[types.IsolateOption]
	if isolate == "strict" {
		f.Isolation = firewall.Strict
	} else if on, err := strconv.ParseBool(isolate); err == nil && on {
		f.Isolation = firewall.Isolated
	}
	return f
}

// RemoveNetwork takes a network that nobody is connected to out of the kernel.
func (m *Manager) RemoveNetwork(n *types.Network) error {
	if m.cfg.User.Rootless {
		if ns, ok := usernet.Look(m.cfg.User); ok && n.Driver == types.BridgeNetworkDriver {
			unlock, err := m.lockNetwork(n.Name, unix.LOCK_EX)
			if err != nil {
				return err
			}
			defer unlock()
			err = ns.Do(func() error {
				if _, err := os.Stat(m.built(n.Name)); err != nil {
					return nil //nolint:nilerr // it was never built
				}
				return errors.Join(removeIdle(n.NetworkInterface), m.forget(n))
			})
			if err != nil {
				return err
			}
		}
	}
	return m.leases().Forget(n.Name)
}

// ending ends what is in the user's namespace besides containers.
func (m *Manager) ending(ctx context.Context) error {
	errs := []error{m.names(nil).Stop(ctx)}
	for _, name := range []string{"built", "locks", "ipam.db", "xtables.lock", "aardvark.lock", resolvFile} {
		errs = append(errs, os.RemoveAll(filepath.Join(m.cfg.Dir, name)))
	}
	return errors.Join(errs...)
}

// names is the server of names in a namespace; without one it can be told, but
// not started.
func (m *Manager) names(ns *usernet.Namespace) aardvark.Server {
	s := aardvark.Server{
		Path: m.cfg.Aardvark, Dir: m.cfg.Dir, Resolv: filepath.Join(m.cfg.Dir, resolvFile), Port: m.cfg.DNSPort, Place: m.cfg.User.Place,
		Inside: func(func() error) error { return errors.New("the user's network namespace is gone") },
	}
	if ns == nil {
		ns, _ = usernet.Look(m.cfg.User)
	}
	if ns != nil {
		s.Inside = ns.Do
	}
	return s
}

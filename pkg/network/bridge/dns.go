package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/internal/wholefile"
	"github.com/rootless-pod/pod/pkg/network/ipam"
	"github.com/rootless-pod/pod/pkg/network/usernet"
)

// resolvFile is what aardvark-dns sees as /etc/resolv.conf.
const resolvFile = "resolv.conf"

func (m *Manager) leases() ipam.DB { return ipam.Open(m.ipam()) }

// byName returns the indexes of networks in the order of their names.
func byName(networks []types.Network) []int {
	order := make([]int, len(networks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(networks[a].Name, networks[b].Name) })
	return order
}

// writeResolv writes the name servers that the user's namespace can reach, and
// says whether they are others than before. Those on the host's loopback are
// reached through the helper, which forwards to what the host asked when it
// started; all others are asked themselves, so a change needs no new helper.
func (m *Manager) writeResolv(ns *usernet.Namespace) (bool, error) {
	data, err := os.ReadFile(m.cfg.Resolv)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read the host's name servers: %w", err)
	}
	text := upstream(string(data), ns.Link.DNS)
	path := filepath.Join(m.cfg.Dir, resolvFile)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return false, nil
	}
	if err := wholefile.Write(path, ".resolv-*", text); err != nil {
		return false, fmt.Errorf("write the name servers of networks: %w", err)
	}
	return true, nil
}

// upstream makes the resolv.conf of a namespace out of the host's.
func upstream(host string, forward []string) []byte {
	var servers, options []string
	for line := range strings.Lines(host) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			ip, err := netip.ParseAddr(fields[1])
			switch {
			case err != nil:
			case ip.IsLoopback() || ip.IsUnspecified() || ip.Zone() != "":
				servers = append(servers, forward...)
			default:
				servers = append(servers, ip.String())
			}
		case "options":
			options = append(options, strings.TrimSpace(line))
		}
	}
	if len(servers) == 0 {
		servers = forward
	}
	var b strings.Builder
	seen := map[string]bool{}
	for _, s := range servers {
		if !seen[s] {
			b.WriteString("nameserver " + s + "\n")
		}
		seen[s] = true
	}
	for _, o := range options {
		b.WriteString(o + "\n")
	}
	return []byte(b.String())
}

// Mend brings back what was killed behind running containers, the helper of the
// user's namespace and aardvark-dns, and follows the host's name servers. It costs
// a system call when there are no networks.
func (m *Manager) Mend(ctx context.Context) error {
	if !m.cfg.User.Rootless {
		return nil
	}
	if _, ok := usernet.Look(m.cfg.User); !ok {
		return nil
	}
	ns, err := usernet.Mend(ctx, m.cfg.User)
	if err != nil || ns == nil {
		return err
	}
	server := m.names(ns)
	if !server.Wanted() {
		return nil
	}
	changed, err := m.writeResolv(ns)
	if err != nil {
		return err
	}
	if !changed && server.Running() {
		return nil
	}
	return server.Reload(ctx)
}

// Update tells running containers of a network's name servers.
func (m *Manager) Update(ctx context.Context, n *types.Network) error {
	if !n.DNSEnabled {
		return nil
	}
	return m.names(nil).Update(ctx, named(n))
}

package bridge

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/pkg/network/firewall"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/usernet"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestUpstream(t *testing.T) {
	forward := []string{"169.254.1.1"}
	for name, tc := range map[string]struct{ host, want string }{
		"the host's own":  {"nameserver 192.0.2.53\nsearch x\noptions ndots:2\n", "nameserver 192.0.2.53\noptions ndots:2\n"},
		"a stub":          {"nameserver 127.0.0.53\n", "nameserver 169.254.1.1\n"},
		"both":            {"nameserver 127.0.0.1\nnameserver ::1\nnameserver 192.0.2.53\n", "nameserver 169.254.1.1\nnameserver 192.0.2.53\n"},
		"none":            {"", "nameserver 169.254.1.1\n"},
		"of an interface": {"nameserver fe80::1%eth0\n", "nameserver 169.254.1.1\n"},
		"nonsense":        {"nameserver x\nnameserver\n\x00\n", "nameserver 169.254.1.1\n"},
	} {
		if got := string(upstream(tc.host, forward)); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// The name servers of the host are followed.
func TestWriteResolv(t *testing.T) {
	dir := t.TempDir()
	host := filepath.Join(dir, "host.conf")
	m := New(Config{Dir: dir, Resolv: host})
	ns := &usernet.Namespace{Link: link.Link{DNS: []string{"169.254.1.1"}}}
	for _, step := range []struct {
		host, want string
		changed    bool
	}{
		{"nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n", true},
		{"nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n", false},
		{"nameserver 192.0.2.2\n", "nameserver 192.0.2.2\n", true},
		{"nameserver 127.0.0.53\n", "nameserver 169.254.1.1\n", true},
	} {
		if err := os.WriteFile(host, []byte(step.host), 0o600); err != nil {
			t.Fatal(err)
		}
		changed, err := m.writeResolv(ns)
		got, _ := os.ReadFile(filepath.Join(dir, resolvFile))
		if err != nil || changed != step.changed || string(got) != step.want {
			t.Errorf("%q: %q, %v, %v", step.host, got, changed, err)
		}
	}
}

func network(name string, subnets ...string) *types.Network {
	n := &types.Network{Name: name, NetworkInterface: "podman1", IPAMOptions: map[string]string{"driver": "host-local"}, Options: map[string]string{}}
	for _, s := range subnets {
		p, _ := types.ParseCIDR(s)
		n.Subnets = append(n.Subnets, types.Subnet{Subnet: p, Gateway: netip.MustParsePrefix(s).Addr().Next().AsSlice()})
	}
	return n
}

func TestStamp(t *testing.T) {
	ns := &usernet.Namespace{}
	a, b := network("n", "10.0.0.0/24"), network("n", "10.0.0.0/24")
	b.Created = time.Now()
	if stamp(ns, a) != stamp(ns, b) {
		t.Error("when it was made changes nothing")
	}
	for name, change := range map[string]func(){"options": func() { b.Options["mtu"] = "1400" }, "subnets": func() { b.Subnets = nil }} {
		change()
		if stamp(ns, a) == stamp(ns, b) {
			t.Errorf("other %s are the same network", name)
		}
	}
}

func TestExplain(t *testing.T) {
	vlan, lan := *network("v", "10.0.0.0/24"), *network("m", "10.1.0.0/24")
	vlan.Driver, vlan.Options["vlan"] = "bridge", "7"
	lan.Driver, lan.NetworkInterface = "macvlan", "eth9"
	plain := *network("p", "10.2.0.0/24")
	plain.Driver = "bridge"
	for want, tc := range map[string]struct {
		said string
		n    types.Network
	}{
		"network v needs (driver bridge, options vlan=7)": {"Operation not supported (os error 95)", vlan},
		"network m has parent eth9":                       {"No such device (os error 19)", lan},
		"nothing known":                                   {"nothing known (os error 95)", plain},
	} {
		if err := explain(errors.New(tc.said), []types.Network{tc.n}); !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), tc.said) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if explain(nil, nil) != nil {
		t.Error("no error is none")
	}
}

func TestRules(t *testing.T) {
	for value, want := range map[string]firewall.Isolation{"": firewall.Open, "false": firewall.Open, "true": firewall.Isolated, "1": firewall.Isolated, "strict": firewall.Strict} {
		n := network("n", "10.0.0.0/24", "fd00::/64")
		n.Options["isolate"] = value
		f := rulesOf(n)
		if f.Isolation != want || f.Table != "pod-podman1" || len(f.Subnets) != 2 || f.Subnets[0].String() != "10.0.0.0/24" {
			t.Errorf("isolate=%s: %+v", value, f)
		}
	}
}

func TestFits(t *testing.T) {
	n := network("n", "10.0.0.0/24")
	at := func(ip string) specgen.Attachment {
		return specgen.Attachment{IPs: []netip.Addr{netip.MustParseAddr(ip)}}
	}
	if err := Fits(n, at("10.0.0.7")); err != nil {
		t.Error(err)
	}
	if err := Fits(n, at("10.0.1.7")); err == nil || !strings.Contains(err.Error(), "not in any subnet on network n") {
		t.Error(err)
	}
	n.IPAMOptions["driver"] = "none"
	if err := Fits(n, at("10.0.0.7")); err == nil {
		t.Error("an address where none are given")
	}
}

func TestNames(t *testing.T) {
	c := Container{ID: "0123456789abcdef", Name: "c"}
	if got := strings.Join(aliases(c, specgen.Attachment{Aliases: []string{"x"}}), " "); got != "x 0123456789ab" {
		t.Errorf("aliases %q", got)
	}
	// What a network gave is put back by reload: nothing is there twice.
	if got := strings.Join(aliases(c, specgen.Attachment{Aliases: []string{"x", "0123456789ab"}}), " "); got != "x 0123456789ab" {
		t.Errorf("aliases %q", got)
	}
	if got := freeName([]string{"eth0", "eth2", "x"}); got != "eth1" {
		t.Errorf("free name %s", got)
	}
	n := *network("n", "10.0.0.0/24")
	if got := byName([]types.Network{{Name: "b"}, n, {Name: "a"}}); len(got) != 3 || got[0] != 2 || got[1] != 0 {
		t.Errorf("order %v", got)
	}
}

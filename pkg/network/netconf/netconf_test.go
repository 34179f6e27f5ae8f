package netconf

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/common/libnetwork/types"
)

func store(t *testing.T) *Store {
	t.Helper()
	dir := t.TempDir()
	return Open(Options{
		Dir: filepath.Join(dir, "networks"), LockFile: filepath.Join(dir, "networks", "netavark.lock"),
		Default: "podman", DefaultSubnet: netip.MustParsePrefix("10.88.0.0/16"),
		Pools: []Pool{{netip.MustParsePrefix("10.89.0.0/30"), 31}, {netip.MustParsePrefix("10.90.0.0/16"), 24}},
		Taken: func() ([]netip.Prefix, []string, error) {
			return []netip.Prefix{netip.MustParsePrefix("192.168.7.3/24"), netip.MustParsePrefix("10.90.0.5/32")}, []string{"eth0", "podman1"}, nil
		},
		Parents: true,
	})
}

func subnet(t *testing.T, s string) types.Subnet {
	t.Helper()
	p, err := types.ParseCIDR(s)
	if err != nil {
		t.Fatal(err)
	}
	return types.Subnet{Subnet: p}
}

func TestCreate(t *testing.T) {
	s := store(t)
	a, err := s.Create(types.Network{Name: "a", DNSEnabled: true}, false)
	if err != nil {
		t.Fatal(err)
	}
	if a.NetworkInterface != "podman2" || a.Subnets[0].Subnet.String() != "10.89.0.0/31" || a.IPAMOptions["driver"] != "host-local" {
		t.Errorf("%+v", a)
	}
	again, err := s.Create(types.Network{Name: "a"}, true)
	if err != nil || again.ID != a.ID {
		t.Errorf("--ignore: %+v, %v", again, err)
	}
	unnamed, err := s.Create(types.Network{IPv6Enabled: true}, false)
	if err != nil || unnamed.Name != "podman3" || len(unnamed.Subnets) != 2 || !strings.HasPrefix(unnamed.Subnets[1].Subnet.String(), "fd") {
		t.Errorf("%+v, %v", unnamed, err)
	}
	// The pool is used up, and the next one is begun behind what the host has.
	third, err := s.Create(types.Network{Name: "third"}, false)
	if err != nil || third.Subnets[0].Subnet.String() != "10.90.1.0/24" || third.Subnets[0].Gateway.String() != "10.90.1.1" {
		t.Errorf("%+v, %v", third, err)
	}
	internal, err := s.Create(types.Network{Name: "internal", Internal: true}, false)
	if err != nil || internal.Subnets[0].Gateway != nil {
		t.Errorf("%+v, %v", internal, err)
	}
	dhcp, err := s.Create(types.Network{Name: "mv", Driver: "macvlan", NetworkInterface: "eth0"}, false)
	if err != nil || dhcp.IPAMOptions["driver"] != "dhcp" || dhcp.DNSEnabled {
		t.Errorf("%+v, %v", dhcp, err)
	}
	back, err := s.Lookup(a.ID[:10])
	if err != nil || back.Name != "a" || !back.DNSEnabled || !back.Created.Equal(a.Created) {
		t.Errorf("%+v, %v", back, err)
	}
	all, wrong, err := s.List()
	if err != nil || len(all) != 6 || len(wrong) != 0 {
		t.Errorf("%d networks, %v, %v", len(all), wrong, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	s := store(t)
	if _, err := s.Create(types.Network{Name: "known", NetworkInterface: "br0", Subnets: []types.Subnet{subnet(t, "10.1.0.0/16")}}, false); err != nil {
		t.Fatal(err)
	}
	one := func(s string) []types.Subnet { return []types.Subnet{subnet(t, s)} }
	withGateway := one("10.5.0.0/24")
	withGateway[0].Gateway = net.ParseIP("10.6.0.1")
	withRange := one("10.5.0.0/24")
	withRange[0].LeaseRange = &types.LeaseRange{StartIP: net.ParseIP("10.6.0.1")}
	option := func(driver, name, value string) types.Network {
		return types.Network{Name: "x", Driver: driver, Options: map[string]string{name: value}, Subnets: one("10.5.0.0/24")}
	}
	for want, n := range map[string]types.Network{
		"network name known already used":    {Name: "known"},
		"names must match":                   {Name: "a/b"},
		"too long":                           {Name: strings.Repeat("x", 300)},
		"conflicts with a valid network":     {Name: "host"},
		"overlaps 10.1.0.0/16 of network":    {Name: "x", Subnets: one("10.1.3.0/24")},
		"overlaps 192.168.7.0/24 of this":    {Name: "x", Subnets: one("192.168.0.0/16")},
		"overlaps 10.88.0.0/16 of":           {Name: "x", Subnets: one("10.88.1.0/24")},
		"overlapping subnets detected":       {Name: "x", Subnets: []types.Subnet{subnet(t, "10.5.0.0/24"), subnet(t, "10.5.0.128/25")}},
		"gateway 10.6.0.1 not in subnet":     {Name: "x", Subnets: withGateway},
		"lease range start ip 10.6.0.1":      {Name: "x", Subnets: withRange},
		"bridge name br0 already in use":     {Name: "x", NetworkInterface: "br0"},
		"interface name abcdefghijklmnop is": {Name: "x", NetworkInterface: "abcdefghijklmnop"},
		"bridge name ../x invalid":           {Name: "x", NetworkInterface: "../x"},
		`driver or plugin "nope"`:            {Name: "x", Driver: "nope"},
		"unsupported bridge network option":  option("bridge", "foo", "x"),
		`mtu option "x"`:                     option("bridge", "mtu", "x"),
		"failed to parse isolate":            option("bridge", "isolate", "maybe"),
		`vlan option "4095"`:                 option("bridge", "vlan", "4095"),
		`unknown macvlan mode "x"`:           option("macvlan", "mode", "x"),
		"dhcp is not supported with ipvlan":  {Name: "x", Driver: "ipvlan"},
		"parent interface eth9 does not":     {Name: "x", Driver: "macvlan", NetworkInterface: "eth9"},
		"none ipam driver is set but":        {Name: "x", IPAMOptions: map[string]string{"driver": "none"}, Subnets: one("10.5.0.0/24")},
		"DNS is not enabled":                 {Name: "x", NetworkDNSServers: []string{"1.1.1.1"}},
		`unable to parse ip "xx"`:            {Name: "x", DNSEnabled: true, NetworkDNSServers: []string{"xx"}},
		"other address family":               {Name: "x", Routes: []types.Route{{Destination: subnet(t, "10.9.0.0/24").Subnet, Gateway: net.ParseIP("fd00::1")}}},
	} {
		if _, err := s.Create(n, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	entries, err := os.ReadDir(s.opts.Dir)
	if err != nil || len(entries) != 2 { // known.json and the lock
		t.Errorf("what was refused has left something: %v, %v", entries, err)
	}
}

func TestLookupOfForeign(t *testing.T) {
	s := store(t)
	if _, err := s.Create(types.Network{Name: "good"}, false); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(s.opts.Dir, "good.json"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, content string) {
		if err := os.WriteFile(filepath.Join(s.opts.Dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("broken.json", "{")
	put("other.json", string(good))
	put("id.json", strings.ReplaceAll(string(good), `"good"`, `"id"`)[:60]+"}")
	put("device.json", strings.Replace(strings.ReplaceAll(string(good), `"good"`, `"device"`), `"podman2"`, `"../../x"`, 1))
	put("dns.json", strings.Replace(strings.ReplaceAll(string(good), `"good"`, `"dns"`), `"driver": "bridge"`, `"driver": "bridge", "network_dns_servers": ["x\ny"]`, 1))
	if err := os.Mkdir(filepath.Join(s.opts.Dir, "dir.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(s.opts.Dir, "zero.json")); err != nil {
		t.Fatal(err)
	}
	all, wrong, err := s.List()
	if err != nil || len(all) != 2 || len(wrong) != 6 {
		t.Errorf("%d networks, %d wrong: %v, %v", len(all), len(wrong), wrong, err)
	}
	for _, name := range []string{"../good", "", ".", "/etc/passwd", "none"} {
		if n, err := s.Lookup(name); !errors.Is(err, types.ErrNoSuchNetwork) {
			t.Errorf("%q: %v, %v", name, n, err)
		}
	}
}

func TestChange(t *testing.T) {
	s := store(t)
	if _, err := s.Create(types.Network{Name: "a", DNSEnabled: true, NetworkDNSServers: []string{"1.1.1.1"}}, false); err != nil {
		t.Fatal(err)
	}
	n, changed, err := s.UpdateDNS("a", []string{"8.8.8.8", "8.8.8.8"}, []string{"1.1.1.1"})
	if err != nil || !changed || strings.Join(n.NetworkDNSServers, " ") != "8.8.8.8" {
		t.Errorf("%+v, %v, %v", n, changed, err)
	}
	if _, changed, err := s.UpdateDNS("a", []string{"8.8.8.8"}, nil); err != nil || changed {
		t.Errorf("nothing to change: %v, %v", changed, err)
	}
	if _, _, err := s.UpdateDNS("a", []string{"x"}, nil); err == nil {
		t.Error("x is no address")
	}
	refuse := errors.New("in use")
	if err := s.Remove("a", func(*types.Network) error { return refuse }); !errors.Is(err, refuse) {
		t.Errorf("removed though in use: %v", err)
	}
	yes := func(*types.Network) error { return nil }
	if err := s.Remove("podman", yes); err == nil || !strings.Contains(err.Error(), "cannot be removed") {
		t.Errorf("the default network: %v", err)
	}
	if err := s.Remove("a", yes); err != nil {
		t.Error(err)
	}
	if err := s.Remove("a", yes); !errors.Is(err, types.ErrNoSuchNetwork) {
		t.Errorf("removed twice: %v", err)
	}
}

package ipam

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.podman.io/common/libnetwork/types"
)

func network(t *testing.T, name string, subnets ...string) *types.Network {
	t.Helper()
	n := &types.Network{Name: name, IPAMOptions: map[string]string{types.Driver: types.HostLocalIPAMDriver}}
	for _, s := range subnets {
		p, err := types.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		gateway := netip.MustParsePrefix(s).Masked().Addr().Next()
		n.Subnets = append(n.Subnets, types.Subnet{Subnet: p, Gateway: gateway.AsSlice()})
	}
	return n
}

func lease1(t *testing.T, db DB, id string, n *types.Network, static ...string) (string, error) {
	t.Helper()
	r := Request{Network: n}
	for _, s := range static {
		r.Static = append(r.Static, netip.MustParseAddr(s))
	}
	given, err := db.Lease(id, []Request{r})
	return strings.Trim(fmt.Sprint(given[n.Name]), "[]"), err
}

func TestLease(t *testing.T) {
	db := Open(filepath.Join(t.TempDir(), "new", "ipam.db"))
	n := network(t, "n", "10.1.0.0/29", "fd01::/64")
	for _, step := range []struct {
		id, static, want, fails string
	}{
		{"a", "", "10.1.0.2 fd01::2", ""},
		{"b", "", "10.1.0.3 fd01::3", ""},
		{"c", "10.1.0.3", "", "already allocated to container ID b"},
		{"c", "10.1.0.1", "", "is the gateway"},
		{"c", "10.1.0.6", "10.1.0.6 fd01::4", ""}, // what failed took nothing
		{"b", "", "10.1.0.4 fd01::5", ""},         // anew: the old ones are free, the next are given
		{"d", "", "10.1.0.5 fd01::6", ""},
		{"e", "", "10.1.0.3 fd01::7", ""}, // around the end
		{"f", "", "", "failed to find free IP in range: 10.1.0.1 - 10.1.0.6"},
	} {
		var static []string
		if step.static != "" {
			static = []string{step.static}
		}
		got, err := lease1(t, db, step.id, n, static...)
		if step.fails != "" {
			if err == nil || !strings.Contains(err.Error(), step.fails) {
				t.Errorf("%s: error %v, want %q", step.id, err, step.fails)
			}
		} else if err != nil || got != step.want {
			t.Errorf("%s: got %q, %v; want %q", step.id, got, err, step.want)
		}
	}
	holders, err := db.Holders()
	if err != nil || len(holders["n"]) != 5 {
		t.Errorf("holders %v, %v", holders, err)
	}
	for _, id := range []string{"a", "b", "nobody"} {
		if err := db.Free(id); err != nil {
			t.Error(err)
		}
	}
	if err := db.Free("c", "n", "other"); err != nil {
		t.Error(err)
	}
	if got, err := lease1(t, db, "g", n, "10.1.0.6"); err != nil || !strings.HasPrefix(got, "10.1.0.6 ") {
		t.Errorf("what was freed is not to be had: %q, %v", got, err)
	}
	if err := db.Forget("n"); err != nil {
		t.Fatal(err)
	}
	if err := db.Forget("n"); err != nil {
		t.Errorf("forgotten twice: %v", err)
	}
	if holders, err := db.Holders(); err != nil || len(holders) != 0 {
		t.Errorf("after all was forgotten: %v, %v", holders, err)
	}
}

func TestRanges(t *testing.T) {
	db := Open(filepath.Join(t.TempDir(), "ipam.db"))
	n := network(t, "n", "10.1.0.0/24")
	n.Subnets[0].LeaseRange = &types.LeaseRange{StartIP: net.ParseIP("10.1.0.40"), EndIP: net.ParseIP("10.1.0.41")}
	for i, want := range []string{"10.1.0.40", "10.1.0.41", ""} {
		if got, err := lease1(t, db, fmt.Sprint(i), n); got != want || (err == nil) == (want == "") {
			t.Errorf("%d: %q, %v; want %q", i, got, err, want)
		}
	}
	for subnet, want := range map[string]string{"10.2.0.0/31": "10.2.0.0", "10.2.0.8/30": "10.2.0.10"} {
		if got, err := lease1(t, db, "x", network(t, subnet, subnet)); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", subnet, got, err, want)
		}
	}
	none := network(t, "none", "10.3.0.0/24")
	none.IPAMOptions[types.Driver] = types.NoneIPAMDriver
	if got, err := lease1(t, db, "x", none); err != nil || got != "" {
		t.Errorf("without addresses: %q, %v", got, err)
	}
}

func TestNoAddressTwice(t *testing.T) {
	db := Open(filepath.Join(t.TempDir(), "ipam.db"))
	n := network(t, "n", "10.1.0.0/24")
	var mu sync.Mutex
	seen := map[string]string{}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 12 {
				id := fmt.Sprintf("%d-%d", worker, i)
				ip, err := lease1(t, db, id, n)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if other, ok := seen[ip]; ok {
					t.Errorf("%s has %s, as has %s", id, ip, other)
				}
				seen[ip] = id
				mu.Unlock()
				if i%3 == 0 {
					mu.Lock()
					delete(seen, ip)
					mu.Unlock()
					if err := db.Free(id); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

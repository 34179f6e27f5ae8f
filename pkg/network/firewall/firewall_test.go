package firewall

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"
)

const insideEnv = "POD_TEST_FIREWALL_INSIDE"

func TestInNamespace(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInside", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this host refuses namespaces: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// rulesOf counts the rules of each chain of a table; nil if it is not there.
func rulesOf(t *testing.T, table string) map[string]int {
	t.Helper()
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		t.Fatal(err)
	}
	var found map[string]int
	for _, c := range chains {
		if c.Table.Name != table {
			continue
		}
		rules, err := conn.GetRules(c.Table, c)
		if err != nil {
			t.Fatal(err)
		}
		if found == nil {
			found = map[string]int{}
		}
		found[c.Name] = len(rules)
	}
	return found
}

func TestInsideRules(t *testing.T) {
	if os.Getenv(insideEnv) == "" {
		t.Skip("runs in a namespace of its own, started by TestInNamespace")
	}
	n := Network{Table: "pod-br0", Bridge: "br0", Subnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("fd00::/64")}}
	for name, tc := range map[string]struct {
		change func(*Network)
		out    int
		to     int
	}{
		"open":     {func(*Network) {}, 2, 2},
		"isolated": {func(n *Network) { n.Isolation = Isolated }, 2, 2},
		"strict":   {func(n *Network) { n.Isolation = Strict }, 2, 2},
		"internal": {func(n *Network) { n.Internal = true }, 0, 3},
	} {
		changed := n
		tc.change(&changed)
		for range 2 { // again: they replace each other
			if err := Apply(changed); errors.Is(err, ErrUnsupported) {
				t.Skip(err)
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		got := rulesOf(t, n.Table)
		if got["from"] != 1 || got["to"] != tc.to || got["out"] != tc.out {
			t.Errorf("%s: %v", name, got)
		}
	}
	for range 2 { // none is no error
		if err := Remove(n.Table); err != nil {
			t.Fatal(err)
		}
	}
	if got := rulesOf(t, n.Table); got != nil {
		t.Errorf("left: %v", got)
	}
}

func TestMulticast(t *testing.T) {
	for p, want := range map[string]string{"10.0.0.0/8": "224.0.0.0/4", "fd00::/64": "ff00::/8"} {
		if got := multicast(netip.MustParsePrefix(p)).String(); got != want {
			t.Errorf("%s: %s", p, got)
		}
	}
	if strings.Contains(ErrUnsupported.Error(), "\n") {
		t.Error("more than one line")
	}
}

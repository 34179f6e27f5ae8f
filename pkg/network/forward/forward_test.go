package forward

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestArguments(t *testing.T) {
	prefixes := func(text ...string) []netip.Prefix {
		var all []netip.Prefix
		for _, s := range text {
			all = append(all, netip.MustParsePrefix(s))
		}
		return all
	}
	ports := []specgen.PortMapping{
		{HostPort: 8080, ContainerPort: 80, Range: 2, Protocol: "tcp"},
		{HostPort: 53, ContainerPort: 5353, Range: 1, Protocol: "udp"},
	}
	tests := []struct {
		name      string
		addresses []netip.Prefix
		gateways  []netip.Addr
		keeps     bool
		want      string
	}{
		{"both families", prefixes("10.89.0.5/24", "fd00::5/64", "10.90.0.2/24"), []netip.Addr{netip.MustParseAddr("10.89.0.1"), netip.MustParseAddr("fd00::1")}, true, "/ns 7368548 10.89.0.5 fd00::5 10.89.0.1 fd00::1"},
		{"no gateway", prefixes("10.89.0.5/24"), nil, true, "/ns 7368548 10.89.0.5 - 10.89.0.1 -"},
		{"is where the gateway would be", prefixes("10.89.0.1/24"), []netip.Addr{netip.MustParseAddr("10.89.0.1")}, true, "/ns 7368548 10.89.0.1 - 10.89.0.2 -"},
		{"old kernel", prefixes("fd00::5/64"), nil, false, "/ns 0 - fd00::5 - fd00::1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := arguments(Options{NetNS: "/ns", Ports: ports}, pick(tt.addresses, tt.gateways), tt.keeps)
			if text := strings.Join(got, " "); text != Verb+" "+tt.want+" tcp:80 tcp:81 udp:5353" {
				t.Errorf("got %s", text)
			}
		})
	}
}

func TestRules(t *testing.T) {
	got := rules(netlink.FAMILY_V4, []specgen.PortMapping{
		{ContainerPort: 80, Protocol: "tcp"}, {ContainerPort: 53, Range: 1, Protocol: "udp"}, {ContainerPort: 60, Range: 3, Protocol: "udp"},
	})
	if len(got) != 3 || got[0].Mark != mark || got[0].Table != mark {
		t.Fatalf("rules %v", got)
	}
	var spans []uint16
	for _, r := range got[1:] {
		if r.Table != mark+1 || r.Mark != 0 {
			t.Errorf("rule %+v", r)
		}
		spans = append(spans, r.Sport.Start, r.Sport.End)
	}
	if !slices.Equal(spans, []uint16{53, 53, 60, 62}) {
		t.Errorf("ports %v", spans)
	}
}

func TestStartWithoutAddress(t *testing.T) {
	if _, err := Start(Options{}); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("error %v", err)
	}
}

package network

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestMode(t *testing.T) {
	tests := []struct {
		mode, configured string
		rootless         bool
		driver           string
		options          []string
		fails            string
	}{
		{mode: "", rootless: true, driver: Pasta},
		{mode: "", rootless: true, configured: Slirp, driver: Slirp},
		{mode: "", configured: Slirp, driver: Pasta},
		{mode: "private", driver: Pasta},
		{mode: "none", driver: None},
		{mode: "host", driver: Host},
		{mode: "container:abc", driver: Container, options: []string{"abc"}},
		{mode: "ns:/proc/1/ns/net", driver: Path, options: []string{"/proc/1/ns/net"}},
		{mode: "pasta:-T,5432", driver: Pasta, options: []string{"-T", "5432"}},
		{mode: "slirp4netns:mtu=1500", driver: Slirp, options: []string{"mtu=1500"}},
		{mode: "bridge", driver: Bridge},
		{mode: "mynet:alias=x", fails: "is unknown: use bridge"},
		{mode: "container:", fails: "container:ID"},
		{mode: "ns:", fails: "ns:PATH"},
		{mode: "host:x", fails: "no options"},
	}
	for _, tt := range tests {
		t.Run(tt.mode+tt.configured, func(t *testing.T) {
			driver, options, err := Mode(specgen.Network{Mode: tt.mode}, tt.rootless, tt.configured)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("error %v, want %q", err, tt.fails)
				}
				return
			}
			if err != nil || driver != tt.driver || !slices.Equal(options, tt.options) {
				t.Errorf("got %s %q %v", driver, options, err)
			}
		})
	}
}

func TestResolvePortsRandom(t *testing.T) {
	in := []specgen.PortMapping{
		{HostIP: "127.0.0.1", ContainerPort: 80, Range: 3, Protocol: "tcp"},
		{HostIP: "127.0.0.1", ContainerPort: 53, Protocol: "udp"},
		{HostIP: "127.0.0.1", ContainerPort: 81},
	}
	got, err := ResolvePorts(in)
	if err != nil {
		t.Fatal(err)
	}
	if in[0].HostPort != 0 {
		t.Error("the caller's mapping was changed")
	}
	for _, p := range got {
		if p.HostPort == 0 || p.Range == 0 || p.Protocol == "" {
			t.Errorf("not resolved: %+v", p)
		}
	}
	if a, b := got[0], got[2]; b.HostPort >= a.HostPort && b.HostPort < a.HostPort+a.Range {
		t.Errorf("one port given twice: %+v", got)
	}
	// They can really be had, the whole range of them.
	if _, err := ResolvePorts(got); err != nil {
		t.Errorf("chosen ports: %v", err)
	}
}

func TestResolvePortsConflicts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tcp := uint16(l.Addr().(*net.TCPAddr).Port)
	u, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	udp := uint16(u.LocalAddr().(*net.UDPAddr).Port)
	tests := []struct {
		name string
		in   []specgen.PortMapping
		want string
	}{
		{"same address", []specgen.PortMapping{{HostIP: "127.0.0.1", HostPort: tcp, Protocol: "tcp"}}, "/tcp is already in use on 127.0.0.1: choose another port or stop what listens there"},
		{"all addresses", []specgen.PortMapping{{HostPort: tcp, Protocol: "tcp"}}, "already in use on all addresses"},
		{"in a range", []specgen.PortMapping{{HostIP: "127.0.0.1", HostPort: tcp - 1, Range: 2, Protocol: "tcp"}}, "already in use"},
		{"udp", []specgen.PortMapping{{HostPort: udp, Protocol: "udp"}}, "/udp is already in use"},
		{"twice", []specgen.PortMapping{{HostIP: "127.0.0.2", HostPort: tcp, Protocol: "tcp"}, {HostIP: "127.0.0.2", HostPort: tcp, Protocol: "tcp"}}, "already in use"},
		{"foreign address", []specgen.PortMapping{{HostIP: "192.0.2.77", HostPort: 9, Protocol: "udp"}}, "192.0.2.77"},
		{"no address", []specgen.PortMapping{{HostIP: "local", HostPort: 9, Protocol: "udp"}}, "not an IP address"},
		{"sctp", []specgen.PortMapping{{HostPort: 9, Protocol: "sctp"}}, "only tcp and udp"},
		{"beyond the end", []specgen.PortMapping{{HostPort: 65535, Range: 2, Protocol: "tcp"}}, "65535"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ResolvePorts(tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if strings.Contains(tt.want, "in use") && !errors.Is(err, ErrPortInUse) {
				t.Error("not ErrPortInUse")
			}
		})
	}
	// UDP and TCP numbers are apart, and so are addresses.
	if _, err := ResolvePorts([]specgen.PortMapping{{HostIP: "127.0.0.3", HostPort: tcp, Protocol: "tcp"}}); err != nil {
		t.Errorf("another address: %v", err)
	}
}

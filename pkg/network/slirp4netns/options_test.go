package slirp4netns

import (
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestArgs(t *testing.T) {
	const head, tail = "--configure --mtu=", " --netns-type=path /n tap0"
	tests := []struct {
		name, options, want string
		container           string
	}{
		{"defaults", "", head + "65520 --enable-sandbox --enable-seccomp --ready-fd=3 --cidr=10.0.2.0/24 --disable-host-loopback" + tail, "10.0.2.100"},
		{
			"all", "cidr=192.168.7.9/24,mtu=1500,allow_host_loopback=true,enable_ipv6=true,outbound_addr=10.1.1.1,outbound_addr6=fd00::1,port_handler=slirp4netns",
			head + "1500 --enable-sandbox --enable-seccomp --ready-fd=3 --cidr=192.168.7.0/24 --enable-ipv6 --outbound-addr=10.1.1.1 --outbound-addr6=fd00::1" + tail, "192.168.7.100",
		},
		{"upper half", "cidr=10.0.2.128/25", head + "65520 --enable-sandbox --enable-seccomp --ready-fd=3 --cidr=10.0.2.128/25 --disable-host-loopback" + tail, "10.0.2.228"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(strings.FieldsFunc(tt.options, func(r rune) bool { return r == ',' }))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(s.args("/n", ""), " "); got != tt.want {
				t.Errorf("arguments:\n got %s\nwant %s", got, tt.want)
			}
			if got := s.host(100).String(); got != tt.container {
				t.Errorf("container %s, want %s", got, tt.container)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, option := range []string{
		"cidr", "cidr=10.0.2.0/26", "cidr=fd00::/64", "cidr=x", "mtu=1", "mtu=x", "allow_host_loopback=perhaps",
		"outbound_addr=::1", "outbound_addr=no-such-interface", "outbound_addr6=fd00::1", "port_handler=rootlesskit", "speed=fast",
	} {
		if _, err := parse([]string{option}); err == nil || !strings.Contains(err.Error(), strings.Split(option, "=")[0]) {
			t.Errorf("%s: error %v does not name it", option, err)
		}
	}
}

func TestForward(t *testing.T) {
	got, err := forward(specgen.PortMapping{HostPort: 80, ContainerPort: 8080, Range: 3, Protocol: "udp"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if want := (hostFwdTarget{Proto: "udp", HostAddr: "0.0.0.0", HostPort: 82, GuestPort: 8082}); got.Arguments != want {
		t.Errorf("got %+v, want %+v", got.Arguments, want)
	}
	for _, p := range []specgen.PortMapping{{HostIP: "::1", Protocol: "tcp"}, {Protocol: "sctp"}} {
		if _, err := forward(p, 0); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
}

package holder

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := netip.MustParseAddrPort(l.Addr().String())
	for _, ask := range []netip.Addr{at.Addr(), {}, netip.IPv4Unspecified()} {
		s, ok := Find("tcp", ask, at.Port())
		if !ok || s.Addr != at || s.UID != os.Getuid() {
			t.Fatalf("%v: %+v %v, want %v", ask, s, ok, at)
		}
		if got := s.Process(t.Context(), false); !strings.HasSuffix(got, fmt.Sprintf("(pid %d)", os.Getpid())) {
			t.Errorf("process %q", got)
		}
	}
	if s, ok := Find("tcp", netip.MustParseAddr("127.0.0.2"), at.Port()); ok {
		t.Errorf("another address: %+v", s)
	}
	if s, ok := Find("udp", at.Addr(), at.Port()); ok {
		t.Errorf("another protocol: %+v", s)
	}
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000000000000000000001000000:0035": "[::1]:53",
	} {
		if got, ok := address(text); !ok || got.String() != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, bad := range []string{"", "0100007F", "01:1", "xx:1", "0100007F:fffff"} {
		if got, ok := address(bad); ok {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func TestOverlap(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1", "127.0.0.2", false},
		{"127.0.0.1", "0.0.0.0", true},
		{"127.0.0.1", "::", true},
		{"::1", "0.0.0.0", false},
		{"::ffff:1.2.3.4", "1.2.3.4", true},
		{"::1", "::", true},
	}
	for _, tt := range tests {
		a, b := netip.MustParseAddr(tt.a), netip.MustParseAddr(tt.b)
		if Overlap(a, b) != tt.want || Overlap(b, a) != tt.want {
			t.Errorf("%s and %s: want %v", tt.a, tt.b, tt.want)
		}
	}
}

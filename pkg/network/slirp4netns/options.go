package slirp4netns

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// settings are the parsed options of --network slirp4netns:…
type settings struct {
	subnet        netip.Prefix
	hostLoopback  bool
	ipv6          bool
	outboundAddr  string
	outboundAddr6 string
	mtu           int
}

// parse reads NAME=VALUE options, later ones winning.
func parse(options []string) (settings, error) {
	s := settings{subnet: netip.MustParsePrefix("10.0.2.0/24"), mtu: 65520}
	for _, option := range options {
		name, value, ok := strings.Cut(option, "=")
		var err error
		switch {
		case !ok:
			err = fmt.Errorf("write it as NAME=VALUE")
		case name == "cidr":
			s.subnet, err = netip.ParsePrefix(value)
			if err == nil && (!s.subnet.Addr().Is4() || s.subnet.Bits() > 25) {
				err = fmt.Errorf("needs an IPv4 network of /25 or larger")
			}
			s.subnet = s.subnet.Masked()
		case name == "mtu":
			s.mtu, err = strconv.Atoi(value)
			if err == nil && (s.mtu < 68 || s.mtu > 65521) {
				err = fmt.Errorf("is not between 68 and 65521")
			}
		case name == "allow_host_loopback":
			s.hostLoopback, err = strconv.ParseBool(value)
		case name == "enable_ipv6":
			s.ipv6, err = strconv.ParseBool(value)
		case name == "outbound_addr":
			s.outboundAddr, err = value, outbound(value, true)
		case name == "outbound_addr6":
			s.outboundAddr6, err = value, outbound(value, false)
		case name == "port_handler" && value == "slirp4netns":
		case name == "port_handler" && value == "rootlesskit":
			err = fmt.Errorf("is not supported yet; leave it out or use port_handler=slirp4netns")
		default:
			err = fmt.Errorf("unknown; known are allow_host_loopback, cidr, enable_ipv6, mtu, outbound_addr, outbound_addr6, port_handler")
		}
		if err != nil {
			return s, fmt.Errorf("slirp4netns option %q: %w", option, err)
		}
	}
	if s.outboundAddr6 != "" && !s.ipv6 {
		return s, fmt.Errorf("slirp4netns option outbound_addr6 needs enable_ipv6=true")
	}
	return s, nil
}

// outbound checks an address to send from, or the name of an interface.
func outbound(value string, four bool) error {
	if ip, err := netip.ParseAddr(value); err == nil {
		if ip.Is4() != four {
			return fmt.Errorf("is of the wrong address family")
		}
		return nil
	}
	if _, err := net.InterfaceByName(value); err != nil {
		return fmt.Errorf("is neither an address nor an interface of this host")
	}
	return nil
}

// host returns the address at an offset in the subnet: 2 is the gateway, 3 the
// name server, 100 the container, as slirp4netns(1) says.
func (s settings) host(offset byte) netip.Addr {
	b := s.subnet.Addr().As4()
	low := int(b[3]) + int(offset) // at most 128+100: a /25 or larger is masked
	b[3] = byte(low)
	return netip.AddrFrom4(b)
}

// args makes the command line. Descriptor 3 is for the ready message.
func (s settings) args(netns, socket string) []string {
	args := []string{
		"--configure", "--mtu=" + strconv.Itoa(s.mtu), "--enable-sandbox", "--enable-seccomp",
		"--ready-fd=3", "--cidr=" + s.subnet.String(),
	}
	if !s.hostLoopback {
		args = append(args, "--disable-host-loopback")
	}
	if s.ipv6 {
		args = append(args, "--enable-ipv6")
	}
	if s.outboundAddr != "" {
		args = append(args, "--outbound-addr="+s.outboundAddr)
	}
	if s.outboundAddr6 != "" {
		args = append(args, "--outbound-addr6="+s.outboundAddr6)
	}
	if socket != "" {
		args = append(args, "--api-socket="+socket)
	}
	return append(args, "--netns-type=path", netns, "tap0")
}

package specgen

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParsePorts reads values of --publish: [IP:][HOST]:CONTAINER[/PROTO], where
// HOST and CONTAINER may be ranges of one length and IPv6 addresses are in
// brackets. No host port asks for a free one.
func ParsePorts(specs []string) ([]PortMapping, error) {
	ports := make([]PortMapping, 0, len(specs))
	for _, s := range specs {
		p, err := parsePort(s)
		if err != nil {
			return nil, fmt.Errorf("port %q: %w", s, err)
		}
		ports = append(ports, p)
	}
	return ports, nil
}

func parsePort(s string) (PortMapping, error) {
	p := PortMapping{}
	rest, proto, hasProto := strings.Cut(s, "/")
	p.Protocol = "tcp"
	if hasProto {
		p.Protocol = strings.ToLower(proto)
	}
	if err := checkProtocol(p.Protocol); err != nil {
		return p, err
	}
	i := strings.LastIndexByte(rest, ':')
	container := rest[i+1:]
	host := ""
	if i >= 0 {
		var err error
		if host, err = p.cutHostIP(rest[:i]); err != nil {
			return p, err
		}
	}
	first, n, err := parsePortRange(container)
	if err != nil {
		return p, fmt.Errorf("container port: %w", err)
	}
	p.ContainerPort, p.Range = first, n
	if host == "" || host == "0" {
		return p, nil
	}
	first, n, err = parsePortRange(host)
	if err != nil {
		return p, fmt.Errorf("host port: %w", err)
	}
	if n != p.Range {
		return p, fmt.Errorf("host and container port ranges have different lengths: %d and %d", n, p.Range)
	}
	p.HostPort = first
	return p, nil
}

// cutHostIP reads [IP:][HOST], keeps the address and returns the host port.
func (p *PortMapping) cutHostIP(s string) (string, error) {
	ip, host := "", s
	switch {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 || (s[end+1:] != "" && s[end+1] != ':') {
			return "", fmt.Errorf("invalid address in %q", s)
		}
		ip, host = s[1:end], strings.TrimPrefix(s[end+1:], ":")
		if ip == "" {
			return "", fmt.Errorf("empty address in %q", s)
		}
	case strings.Count(s, ":") > 1:
		return "", fmt.Errorf("an IPv6 address must be in brackets")
	default:
		if i := strings.IndexByte(s, ':'); i >= 0 {
			ip, host = s[:i], s[i+1:]
		} else if strings.ContainsAny(s, ".") {
			ip, host = s, "" // IP::CONTAINER was typed as IP:CONTAINER
		}
	}
	if ip == "" || ip == "*" {
		return host, nil
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return "", fmt.Errorf("invalid host address %q", ip)
	}
	p.HostIP = addr.String()
	return host, nil
}

func checkProtocol(proto string) error {
	switch proto {
	case "tcp", "udp", "sctp":
		return nil
	}
	return fmt.Errorf("unknown protocol %q: it must be tcp, udp or sctp", proto)
}

// parsePortRange reads PORT or FIRST-LAST.
func parsePortRange(s string) (first, n uint16, err error) {
	a, b, isRange := strings.Cut(s, "-")
	lo, err := parsePortNumber(a)
	if err != nil {
		return 0, 0, err
	}
	if !isRange {
		return lo, 1, nil
	}
	hi, err := parsePortNumber(b)
	if err != nil {
		return 0, 0, err
	}
	if hi < lo {
		return 0, 0, fmt.Errorf("range %q ends before it begins", s)
	}
	return lo, hi - lo + 1, nil
}

func parsePortNumber(s string) (uint16, error) {
	for _, r := range s {
		if r < '0' || r > '9' { // ParseUint alone would be fine, but says it worse
			return 0, fmt.Errorf("%q is not a port number", s)
		}
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port number between 1 and 65535", s)
	}
	return uint16(n), nil
}

// ParseExpose reads a value of --expose or of an image's exposed ports:
// PORT[-PORT][/PROTO].
func ParseExpose(s string) (PortMapping, error) {
	ports, proto, hasProto := strings.Cut(s, "/")
	if !hasProto {
		proto = "tcp"
	}
	proto = strings.ToLower(proto)
	if err := checkProtocol(proto); err != nil {
		return PortMapping{}, fmt.Errorf("port %q: %w", s, err)
	}
	first, n, err := parsePortRange(ports)
	if err != nil {
		return PortMapping{}, fmt.Errorf("port %q: %w", s, err)
	}
	return PortMapping{ContainerPort: first, Range: n, Protocol: proto}, nil
}

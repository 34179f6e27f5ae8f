package pasta

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// Addresses inside the container that stand for something outside. Link-local
// ones, as podman's, since they collide with nothing.
const (
	dnsForward   = "169.254.1.1"
	mapGuestAddr = "169.254.1.2"
)

// arguments is pasta's command line and what can be learned from it.
type arguments struct {
	argv []string
	// dns are the addresses pasta answers name queries on.
	dns []string
	// host are the addresses that reach the host.
	host []string
}

// build makes pasta's arguments. The user's options come before pod's own, and
// an own one is left out where the user has given his: pasta takes some options
// only once.
func build(opts Options, mapGuest bool) (arguments, error) {
	var a arguments
	a.argv = append([]string{"--config-net"}, opts.Extra...)
	mapGateway := slices.Contains(a.argv, "--map-gw")
	a.argv = slices.DeleteFunc(a.argv, func(s string) bool { return s == "--map-gw" })

	given := make(map[string]bool)
	for i, arg := range a.argv {
		name, value, joined := split(arg)
		given[name] = true
		if !joined && i+1 < len(a.argv) {
			value = a.argv[i+1]
		}
		switch name {
		case "--dns-forward":
			a.dns = append(a.dns, value)
		case "--map-guest-addr":
			a.host = append(a.host, value)
		}
	}

	for _, p := range opts.Ports {
		option := "-t"
		switch p.Protocol {
		case "tcp", "":
		case "udp":
			option = "-u"
		default:
			return a, fmt.Errorf("publish %d/%s: pasta forwards tcp and udp only", p.ContainerPort, p.Protocol)
		}
		spec, err := portSpec(p)
		if err != nil {
			return a, err
		}
		given[option] = true
		a.argv = append(a.argv, option, spec)
	}
	for _, option := range []string{"-t", "-u", "-T", "-U"} {
		if !given[option] {
			a.argv = append(a.argv, option, "none")
		}
	}
	if !given["--dns-forward"] {
		a.argv = append(a.argv, "--dns-forward", dnsForward)
		a.dns = []string{dnsForward}
	}
	if !given["--map-guest-addr"] && mapGuest {
		a.argv = append(a.argv, "--map-guest-addr", mapGuestAddr)
		a.host = []string{mapGuestAddr}
	}
	if !mapGateway && !given["--no-map-gw"] {
		a.argv = append(a.argv, "--no-map-gw")
	}
	if !given["--debug"] && !given["--trace"] && !given["--quiet"] {
		a.argv = append(a.argv, "--quiet")
	}
	if opts.RealRoot && !given["--runas"] {
		// Started by real root, pasta becomes nobody, who may not enter the
		// container's namespace. It still gives up its capabilities.
		a.argv = append(a.argv, "--runas", "0")
	}
	if !given["--foreground"] {
		a.argv = append(a.argv, "--foreground")
	}
	a.argv = append(a.argv, "--pid", opts.PIDFile, "--netns", opts.NetNS)
	return a, nil
}

// split separates an option from a value given in the same word, and brings
// long and short spellings to one.
func split(arg string) (name, value string, joined bool) {
	if name, value, joined = strings.Cut(arg, "="); !joined {
		name = arg
	}
	switch name {
	case "--tcp-ports":
		name = "-t"
	case "--udp-ports":
		name = "-u"
	case "--tcp-ns":
		name = "-T"
	case "--udp-ns":
		name = "-U"
	case "-d":
		name = "--debug"
	case "-q":
		name = "--quiet"
	case "-f":
		name = "--foreground"
	}
	return name, value, joined
}

// portSpec writes a port mapping as pasta reads it: [ADDRESS/]FROM-TO:FROM-TO.
func portSpec(p specgen.PortMapping) (string, error) {
	last := p.Range
	if last > 0 {
		last--
	}
	spec := fmt.Sprintf("%d-%d:%d-%d", p.HostPort, p.HostPort+last, p.ContainerPort, p.ContainerPort+last)
	if p.HostIP == "" {
		return spec, nil
	}
	ip, err := netip.ParseAddr(strings.Trim(p.HostIP, "[]"))
	if err != nil {
		return "", fmt.Errorf("publish %d: %q is no IP address", p.HostPort, p.HostIP)
	}
	return ip.Unmap().String() + "/" + spec, nil
}

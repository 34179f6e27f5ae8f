package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
)

// Resolv describes a container's /etc/resolv.conf. Lists that are empty are
// taken from the host.
type Resolv struct {
	// Servers, Search and Options are the user's; a search of "." is none.
	Servers, Search, Options []string
	// Domains are looked in before the host's search domains.
	Domains []string
	// Forward are name servers of the container's own network (Result.DNS).
	Forward []string
	// HostNetwork: the container sees the host's loopback, whose name servers
	// are then kept.
	HostNetwork bool
	// IPv6: the container has an IPv6 address.
	IPv6 bool
	// Root is where the host's files are looked for; empty is "/".
	Root string
}

// localResolvers are stub servers on loopback and where the real ones are
// listed: systemd-resolved and NetworkManager.
func localResolvers() []struct{ server, file string } {
	return []struct{ server, file string }{
		{"127.0.0.53", "/run/systemd/resolve/resolv.conf"},
		{"127.0.0.54", "/run/systemd/resolve/resolv.conf"},
		{"127.0.0.1", "/run/NetworkManager/no-stub-resolv.conf"},
	}
}

// settings of a resolv.conf file.
type resolvSettings struct {
	servers, search, options []string
}

// Content makes the file.
func (r Resolv) Content() ([]byte, error) {
	for _, s := range r.Servers {
		if _, err := netip.ParseAddr(s); err != nil {
			return nil, fmt.Errorf("dns %q is not an IP address", s)
		}
	}
	for _, s := range slices.Concat(r.Search, r.Options) {
		if s == "" || strings.ContainsAny(s, " \t\r\n") {
			return nil, fmt.Errorf("dns search or option %q: give one word", s)
		}
	}
	var out resolvSettings
	out.servers, out.search, out.options = r.Servers, r.Search, r.Options
	if len(r.Servers) == 0 || len(r.Search) == 0 || len(r.Options) == 0 {
		host, err := r.host()
		if err != nil {
			return nil, err
		}
		if len(out.servers) == 0 {
			out.servers = slices.Concat(r.Forward, host.servers)
		}
		if len(out.search) == 0 {
			out.search = slices.Concat(r.Domains, host.search)
		}
		if len(out.options) == 0 {
			out.options = host.options
		}
	}
	var b strings.Builder
	if len(out.search) > 0 && !slices.Contains(out.search, ".") {
		b.WriteString("search " + strings.Join(out.search, " ") + "\n")
	}
	for _, s := range out.servers {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(out.options) > 0 {
		b.WriteString("options " + strings.Join(out.options, " ") + "\n")
	}
	return []byte(b.String()), nil
}

// Write writes the file to path, keeping its inode.
func (r Resolv) Write(path string) error { return write(path, r) }

// host reads the host's settings, without servers that a namespace of its own
// cannot reach.
func (r Resolv) host() (resolvSettings, error) {
	s, err := r.read("/etc/resolv.conf")
	if err != nil || r.HostNetwork {
		return s, err
	}
	if len(s.servers) == 1 {
		for _, local := range localResolvers() {
			if s.servers[0] != local.server {
				continue
			}
			// Not every 127.0.0.1 is NetworkManager's: without the file the
			// forwarding server answers.
			if direct, err := r.read(local.file); err != nil {
				return s, err
			} else if len(direct.servers) > 0 {
				s = direct
			}
			break
		}
	}
	s.servers = slices.DeleteFunc(s.servers, func(text string) bool {
		ip, err := netip.ParseAddr(text)
		// A zone names an interface of the host, which the container has not.
		return err != nil || ip.IsLoopback() || ip.IsUnspecified() || ip.Zone() != "" || ip.Is6() && !ip.Is4In6() && !r.IPv6
	})
	return s, nil
}

// read parses resolv.conf(5): of search and options the last line counts. A
// missing file is an empty one.
func (r Resolv) read(path string) (resolvSettings, error) {
	var s resolvSettings
	data, err := readSmall(r.Root + path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the host's name servers: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			s.servers = append(s.servers, fields[1])
		case "search", "domain":
			s.search = fields[1:]
		case "options":
			s.options = fields[1:]
		}
	}
	return s, nil
}

package network

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/inroot"
)

// Hosts describes a container's /etc/hosts.
type Hosts struct {
	// Base is containers.conf's base_hosts_file: empty for the host's, "image"
	// for the image's, "none", or a path on the host.
	Base string
	// Rootfs is the mounted image, for Base "image".
	Rootfs string
	// AddHosts are NAME[;NAME…]:IP, where IP may be host-gateway.
	AddHosts []string
	// Addresses and Names are the container's own; without addresses (network
	// none or host) its names mean 127.0.0.1.
	Addresses []netip.Prefix
	Names     []string
	// HostAddress is Result.HostAddress.
	HostAddress string
}

// maxBaseFile bounds what is read of a hosts or resolv.conf file.
const maxBaseFile = 1 << 20

// entry is a line of /etc/hosts.
type entry struct {
	ip    string
	names []string
}

// Content makes the file: the user's entries, then the base file's, then those
// of pod for names that do not occur yet.
func (h Hosts) Content() ([]byte, error) {
	entries, err := h.added()
	if err != nil {
		return nil, err
	}
	base, err := h.base()
	if err != nil {
		return nil, err
	}
	entries = append(entries, parseHosts(base)...)
	known := make(map[string]bool)
	for _, e := range entries {
		for _, name := range e.names {
			known[name] = true
		}
	}
	own := []entry{{"127.0.0.1", []string{"localhost"}}, {"::1", []string{"localhost"}}}
	if h.HostAddress != "" {
		own = append(own, entry{h.HostAddress, []string{"host.containers.internal", "host.docker.internal"}})
	}
	names := slices.DeleteFunc(slices.Compact(slices.Clone(h.Names)), func(s string) bool { return s == "" })
	if len(h.Addresses) == 0 {
		own = append(own, entry{"127.0.0.1", names})
	}
	for _, a := range h.Addresses {
		own = append(own, entry{a.Addr().String(), names})
	}
	for _, e := range own {
		e.names = slices.DeleteFunc(slices.Clone(e.names), func(s string) bool { return known[s] })
		if len(e.names) > 0 {
			entries = append(entries, e)
		}
	}
	var b strings.Builder
	for _, e := range entries {
		b.WriteString(e.ip + "\t" + strings.Join(e.names, " ") + "\n")
	}
	return []byte(b.String()), nil
}

// Write writes the file to path, keeping its inode if it is there: it may be
// bind-mounted into a container.
func (h Hosts) Write(path string) error { return write(path, h) }

type contents interface{ Content() ([]byte, error) }

func write(path string, c contents) error {
	data, err := c.Content()
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644) //nolint:gosec // every user of the container reads it
}

// added parses the user's entries.
func (h Hosts) added() ([]entry, error) {
	var entries []entry
	for _, add := range h.AddHosts {
		list, ip, ok := strings.Cut(add, ":")
		names := strings.FieldsFunc(list, func(r rune) bool { return r == ';' })
		if !ok || len(names) == 0 || strings.ContainsAny(list, " \t\n\r#") {
			return nil, fmt.Errorf("add host %q: write NAME:IP", add)
		}
		if ip == "host-gateway" {
			if ip = h.HostAddress; ip == "" {
				return nil, fmt.Errorf("add host %q: nothing reaches the host from this network", add)
			}
		}
		addr, err := netip.ParseAddr(strings.Trim(ip, "[]"))
		if err != nil {
			return nil, fmt.Errorf("add host %q: %q is not an IP address", add, ip)
		}
		entries = append(entries, entry{addr.String(), names})
	}
	return entries, nil
}

// base reads the base file; the host's own may be missing.
func (h Hosts) base() ([]byte, error) {
	const standard = "/etc/hosts"
	switch h.Base {
	case "none":
		return nil, nil
	case "", standard:
		data, err := readSmall(standard)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return data, err
	case "image":
		data, err := readInRoot(h.Rootfs, standard)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return data, err
	default:
		return readSmall(h.Base)
	}
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBaseFile))
}

// readInRoot reads a regular file of an image. The image decides what lies
// there: a link stays inside the root, and a fifo or a device is not opened.
func readInRoot(root, path string) ([]byte, error) {
	f, err := inroot.OpenRegular(root, path, unix.O_RDONLY|unix.O_NONBLOCK)
	if errors.Is(err, inroot.ErrIrregular) {
		return nil, fmt.Errorf("image's %s is not a regular file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("image's %s: %w", path, err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBaseFile))
}

// parseHosts reads hosts(5) lines, without comments.
func parseHosts(data []byte) []entry {
	var entries []entry
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) >= 2 {
			entries = append(entries, entry{fields[0], fields[1:]})
		}
	}
	return entries
}

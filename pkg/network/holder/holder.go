// Package holder says who has a port of the host: what the kernel tells everybody,
// and the process where the user may see it. It is for messages; nothing is decided
// by it.
package holder

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Socket is one that has a port.
type Socket struct {
	Addr  netip.AddrPort
	UID   int
	Inode string
}

// Find returns the socket that is in the way of listening on address (invalid: all)
// and port.
func Find(protocol string, address netip.Addr, port uint16) (Socket, bool) {
	return find("/proc/net", protocol, address, port)
}

func find(dir, protocol string, address netip.Addr, port uint16) (Socket, bool) {
	for _, file := range []string{protocol, protocol + "6"} {
		sockets, err := read(filepath.Join(dir, file), protocol == "tcp")
		if err != nil {
			continue // IPv6 may be missing
		}
		i := slices.IndexFunc(sockets, func(s Socket) bool { return s.Addr.Port() == port && Overlap(s.Addr.Addr(), address) })
		if i >= 0 {
			return sockets[i], true
		}
	}
	return Socket{}, false
}

// Overlap says whether one cannot listen on both addresses. An invalid one is all
// of both families.
func Overlap(a, b netip.Addr) bool {
	if !a.IsValid() || !b.IsValid() {
		return true
	}
	a, b = a.Unmap(), b.Unmap()
	return a == b || a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified()) || a == netip.IPv6Unspecified() || b == netip.IPv6Unspecified()
}

// read reads a table of /proc/net: of TCP those that listen.
func read(path string, listening bool) ([]Socket, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []Socket
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || listening && fields[3] != "0A" {
			continue
		}
		addr, ok := address(fields[1])
		uid, err := strconv.Atoi(fields[7])
		if ok && err == nil {
			found = append(found, Socket{addr, uid, fields[9]})
		}
	}
	return found, lines.Err()
}

// address reads HEX:PORT, where the words of the address are in the byte order of
// the machine, which is little-endian where pod runs.
func address(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(number)), ok
}

// Process names the process that has a socket, if it is the user's: "nginx (pid
// 123)". From inside pod's user namespace the descriptors of processes outside
// cannot be read, so systemd is asked to look from there; without it, or after two
// seconds, nobody is named.
func (s Socket) Process(ctx context.Context, inside bool) string {
	if !inside {
		return s.process("/proc")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	const look = `for p in /proc/[0-9]*; do case "$(ls -l $p/fd 2>/dev/null)" in *"socket:[$0]"*) echo "$(cat $p/comm) (pid $(basename $p))"; exit;; esac; done`
	out, err := exec.CommandContext(ctx, "systemd-run", "--user", "--quiet", "--pipe", "--wait", "--collect", "/bin/sh", "-c", look, s.Inode).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func (s Socket) process(proc string) string {
	want := "socket:[" + s.Inode + "]"
	dirs, _ := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	for _, dir := range dirs {
		fds, err := os.ReadDir(filepath.Join(dir, "fd"))
		if err != nil {
			continue // another user's, or gone
		}
		for _, fd := range fds {
			if to, err := os.Readlink(filepath.Join(dir, "fd", fd.Name())); err != nil || to != want {
				continue
			}
			name, _ := os.ReadFile(filepath.Join(dir, "comm")) // the pid will do
			return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), filepath.Base(dir))
		}
	}
	return ""
}

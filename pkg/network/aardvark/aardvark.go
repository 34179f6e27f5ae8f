// Package aardvark runs aardvark-dns, which answers for the names of containers,
// and writes what it reads: a file a network, a line a container, in netavark's
// format. One aardvark-dns serves all networks of a namespace, from their
// gateways' addresses; it begins with the first name and ends with the last.
package aardvark

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/internal/wholefile"
	"github.com/rootless-pod/pod/pkg/network/link"
)

const (
	// configDir is below the directory, where netavark has it.
	configDir = "aardvark-dns"
	lockFile  = "aardvark.lock"
	pidFile   = "aardvark.pid"
	// internalMark ends the file's name of a network without a way out, whose
	// other names are not asked for outside.
	internalMark = "%int"
	defaultPort  = 53
)

// Server is the aardvark-dns of a namespace.
type Server struct {
	// Path of the program; empty: names are not answered.
	Path string
	// Dir holds the configuration; it is short-lived.
	Dir string
	// Resolv is the file that it takes for /etc/resolv.conf.
	Resolv string
	// Port it listens on, 0 for DNS' own.
	Port uint16
	// Inside runs a function in the namespace.
	Inside func(func() error) error
	// Place moves the process to where it outlives the session; may be nil.
	Place func(ctx context.Context, pid int) error
}

// Network is a network whose names are answered.
type Network struct {
	Name     string
	Internal bool
	// Listen are the gateways' addresses.
	Listen []netip.Addr
	// Servers are asked for other names, instead of the host's.
	Servers []string
}

// Entry is a container on a network.
type Entry struct {
	Network Network
	Addrs   []netip.Addr
	Names   []string
	// Servers are asked for other names by this container.
	Servers []string
}

func (n Network) file() string {
	if n.Internal {
		return n.Name + internalMark
	}
	return n.Name
}

// header is the first line of a network's file.
func (n Network) header() string {
	line := join(n.Listen)
	if len(n.Servers) > 0 {
		line += " " + strings.Join(n.Servers, ",")
	}
	return line
}

func (e Entry) line(id string) string {
	var four, six []netip.Addr
	for _, a := range e.Addrs {
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	line := id + " " + join(four) + " " + join(six) + " " + strings.Join(e.Names, ",")
	if len(e.Servers) > 0 {
		line += " " + strings.Join(e.Servers, ",")
	}
	return line
}

func join(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ",")
}

// Add makes the names of a container known, and starts the server if none runs.
func (s Server) Add(ctx context.Context, id string, entries []Entry) error {
	if len(entries) == 0 || s.Path == "" {
		return nil
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	err = step.Do(ctx, "names.write", func() error {
		for _, e := range entries {
			if err := s.edit(e.Network.file(), func(lines []string) []string {
				lines = without(lines, id)
				if len(lines) == 0 {
					lines = []string{""}
				}
				lines[0] = e.Network.header()
				return append(lines, e.line(id))
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return step.Do(ctx, "names.serve", func() error { return s.serve(ctx) })
}

// Drop forgets a container on the networks named, or on all. The server ends with
// the last name.
func (s Server) Drop(ctx context.Context, id string, networks ...string) error {
	if _, err := os.Stat(s.config()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	changed := false
	for _, file := range s.files() {
		name := strings.TrimSuffix(file, internalMark)
		if len(networks) > 0 && !slices.Contains(networks, name) {
			continue
		}
		if err := s.edit(file, func(lines []string) []string {
			left := without(lines, id)
			changed = changed || len(left) != len(lines)
			return left
		}); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	return s.serve(ctx)
}

// Update writes what a network's name servers are, if it has names.
func (s Server) Update(ctx context.Context, n Network) error {
	if _, err := os.Stat(filepath.Join(s.config(), n.file())); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.edit(n.file(), func(lines []string) []string {
		if len(lines) > 0 {
			listen, _, _ := strings.Cut(lines[0], " ")
			lines[0] = listen
			if len(n.Servers) > 0 {
				lines[0] += " " + strings.Join(n.Servers, ",")
			}
		}
		return lines
	}); err != nil {
		return err
	}
	return s.serve(ctx)
}

// Reload has the server read everything anew, also the host's name servers, and
// starts it if it should run and does not.
func (s Server) Reload(ctx context.Context) error {
	if s.Path == "" || len(s.files()) == 0 {
		return nil
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.serve(ctx)
}

// Stop ends the server and forgets all names.
func (s Server) Stop(ctx context.Context) error {
	if _, err := os.Stat(s.config()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := link.Stop(ctx, s.running())
	return errors.Join(err, os.RemoveAll(s.config()))
}

// Wanted says whether there are names to answer for.
func (s Server) Wanted() bool { return s.Path != "" && len(s.files()) > 0 }

// Running says whether the server lives.
func (s Server) Running() bool { return s.running() != (process.ID{}) }

func (s Server) config() string { return filepath.Join(s.Dir, configDir) }

// files are the networks' files.
func (s Server) files() []string {
	entries, err := os.ReadDir(s.config())
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.Name() != pidFile && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// without returns the lines that are not of id; nothing if only the first, the
// network's own, is left.
func without(lines []string, id string) []string {
	left := make([]string, 0, len(lines)+1)
	for i, line := range lines {
		if i == 0 || !strings.HasPrefix(line, id+" ") {
			left = append(left, line)
		}
	}
	if len(left) == 1 && len(lines) > 1 {
		return left[:0]
	}
	return left
}

// edit changes a network's file in one piece; without lines it goes. The server
// reads the directory, so what is being written is elsewhere.
func (s Server) edit(name string, change func([]string) []string) error {
	if err := os.MkdirAll(s.config(), 0o700); err != nil {
		return fmt.Errorf("write names of network %s: %w", name, err)
	}
	path := filepath.Join(s.config(), name)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read names of network %s: %w", name, err)
	}
	var lines []string
	if text := strings.TrimRight(string(data), "\n"); text != "" {
		lines = strings.Split(text, "\n")
	}
	lines = change(lines)
	if len(lines) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove names of network %s: %w", name, err)
		}
		return nil
	}
	text := []byte(strings.Join(lines, "\n") + "\n")
	if bytes.Equal(text, data) {
		return nil
	}
	temporary := filepath.Join(s.Dir, ".names")
	if err := wholefile.Write(temporary, ".names-*", text); err != nil {
		return fmt.Errorf("write names of network %s: %w", name, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write names of network %s: %w", name, err)
	}
	return nil
}

// lock orders those who change the configuration; netavark takes it too.
func (s Server) lock() (unlock func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("lock names: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock names: %w", err)
	}
	if err := flock.Lock(f, unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock names: %w", err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// serve tells the server that what it reads has changed, or starts it, or ends it
// when there is nothing to answer for.
func (s Server) serve(ctx context.Context) error {
	id := s.running()
	if len(s.files()) == 0 {
		// Waited for: until it is gone, the next one could not have its port.
		return errors.Join(link.Stop(ctx, id), os.RemoveAll(s.config()))
	}
	if id != (process.ID{}) {
		err := id.Signal(syscall.SIGHUP)
		if err == nil || !errors.Is(err, process.ErrGone) {
			return err
		}
	}
	return s.start(ctx)
}

// running is the server's process, the zero ID if there is none. It writes its pid
// itself; that it is still its own is told by the directory on its command line.
func (s Server) running() process.ID {
	// The identity first: should the pid be another's by then, the signal finds
	// that out.
	id := process.Daemon(filepath.Join(s.config(), pidFile))
	if id == (process.ID{}) || !slices.Contains(process.Arguments(id.PID), s.config()) {
		return process.ID{}
	}
	return id
}

// start starts the server. It leaves a child when it is ready and ends.
func (s Server) start(ctx context.Context) error {
	port := s.Port
	if port == 0 {
		port = defaultPort
	}
	_ = os.Remove(filepath.Join(s.config(), pidFile)) // of one that was killed
	var program *link.Program
	err := s.Inside(func() error {
		if err := s.view(); err != nil {
			return err
		}
		var err error
		program, err = link.Spawn(s.Path, []string{"--config", s.config(), "--port", strconv.Itoa(int(port)), "run"}, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("start aardvark-dns: %w", err)
	}
	defer func() { _ = program.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = program.Process.Kill() })
	defer stop()
	if err := program.Wait(); err != nil {
		text := strings.Join(program.Messages(), "; ")
		if text == "" {
			text = err.Error()
		}
		return fmt.Errorf("start aardvark-dns: %s", text)
	}
	if id := s.running(); s.Place != nil && id != (process.ID{}) {
		return s.Place(ctx, id.PID)
	}
	return nil
}

// view gives the calling thread, which is the server's alone, a mount namespace in
// which /etc/resolv.conf is the file that is kept for it. A bind over the file
// itself would be lost when the host replaces it, so a directory takes the place
// of /etc: the server reads nothing else there.
func (s Server) view() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts its own: %w", err)
	}
	if err := unix.Mount("tmpfs", "/etc", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755,size=64k"); err != nil {
		return fmt.Errorf("mount over /etc: %w", err)
	}
	if err := os.Symlink(s.Resolv, "/etc/resolv.conf"); err != nil {
		return fmt.Errorf("make /etc/resolv.conf: %w", err)
	}
	return nil
}

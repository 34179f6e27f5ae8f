// Package usernet owns the network namespace that a user's bridge networks are
// in: one for each store's run directory, with one pasta (or slirp4netns) behind
// it. The first user of it makes it, the next ones find it in well under a
// millisecond, whoever opens it with its pasta dead starts another, and the last
// one to leave ends it. Which bridges are in it, and who is connected to them, is
// the matter of the packages that use it.
//
// Real root needs none: the host's own namespace takes its place.
//
// Nothing here is counted. Each user leaves a mark that names what exists as long
// as he uses the namespace: the file of a container's namespace, or a process. A
// mark of what is gone does not count, so a kill falsifies nothing.
package usernet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/internal/wholefile"
	"github.com/rootless-pod/pod/pkg/network/link"
	"github.com/rootless-pod/pod/pkg/network/netns"
)

// Host is the path of the host's own namespace.
const Host = "host"

// Config says where the namespace is and what may connect it.
type Config struct {
	// Dir holds what is known of the namespace; it is the user's alone and is
	// made when needed.
	Dir string
	// NetNS is the file that the namespace is bound to.
	NetNS string
	// Rootless: pod is root only in a user namespace of its own. Else there is
	// nothing to make.
	Rootless bool
	// Pasta and Slirp4netns are resolved paths, empty if not installed.
	Pasta, Slirp4netns string
	// PastaOptions and SlirpOptions are containers.conf's.
	PastaOptions, SlirpOptions []string
	// Default is containers.conf's default_rootless_network_cmd.
	Default string
	// CacheDir keeps what is known of the programs.
	CacheDir string
	// Resolv is the host's resolv.conf; empty: it is not followed.
	Resolv string
	// Place moves the helper to where it outlives the session; may be nil.
	Place func(ctx context.Context, pid int) error
	// Ending ends what else is in the namespace, before that ends; may be nil.
	Ending func(ctx context.Context) error
}

// User is who uses the namespace. Name is one word without separators; either
// NetNS, the file of a network namespace, or Process says how long.
type User struct {
	Name    string
	NetNS   string
	Process process.ID
}

// Namespace is the open namespace.
type Namespace struct {
	path  string
	inode uint64
	// Link is the helper behind it: its process, its addresses, name servers that
	// exist in it alone, the address that reaches the host. The zero Link is that
	// of the host's own namespace, and of one without a way out.
	Link link.Link
	// Driver is pasta or slirp4netns, or empty.
	Driver string
	// asked is the name server that the helper forwards to.
	asked string
	// Started: the helper was started by this call, so who looks after what it
	// forwarded before must do so again.
	Started bool
	// Warnings are for the user of this call.
	Warnings []string
}

// record is what is written down of the namespace.
type record struct {
	// Dev and Inode are those of the namespace.
	Dev         uint64         `json:"dev"`
	Inode       uint64         `json:"inode"`
	Driver      string         `json:"driver,omitempty"`
	Helper      process.ID     `json:"helper"`
	Addresses   []netip.Prefix `json:"addresses,omitempty"`
	DNS         []string       `json:"dns,omitempty"`
	HostAddress string         `json:"host_address,omitempty"`
	Asked       string         `json:"asked,omitempty"`
}

const (
	recordFile = "namespace.json"
	lockFile   = "lock"
	usersDir   = "users"
)

// ClaimsDir below Config.Dir is for what other packages write down of the users of
// the namespace. It is removed with the namespace.
const ClaimsDir = usersDir + "/claims"

// Open returns the namespace with user marked as one who uses it, and makes or
// mends it first if it must. The file user.NetNS must exist by now.
func Open(ctx context.Context, cfg Config, user User) (*Namespace, error) {
	if !cfg.Rootless {
		return &Namespace{path: Host}, nil
	}
	if err := user.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the user's network namespace: %w", err)
	}
	unlock, err := lock(ctx, cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	ns, found := look(cfg)
	// The mark comes first: without it whoever leaves now would end the namespace,
	// and a mark of what does not exist does not count.
	if err := step.Do(ctx, "usernet.mark", func() error { return user.mark(cfg) }); err != nil {
		return nil, err
	}
	if found && ns.sound(cfg) {
		return ns, nil
	}
	if ns, err = repair(ctx, cfg, found); err != nil {
		return nil, errors.Join(err, leave(context.WithoutCancel(ctx), cfg, user.Name))
	}
	return ns, nil
}

// Look returns the namespace if there is one; its helper may be dead. Nobody is
// marked: it can end at any moment.
func Look(cfg Config) (*Namespace, bool) {
	if !cfg.Rootless {
		return &Namespace{path: Host}, true
	}
	return look(cfg)
}

// Mend starts the helper of a namespace that exists and has lost it, or whose
// helper forwards name queries to a server that the host does not ask any more. It
// costs a few system calls when there is nothing to do.
func Mend(ctx context.Context, cfg Config) (*Namespace, error) {
	if ns, found := Look(cfg); !found || !cfg.Rootless || ns.sound(cfg) {
		return ns, nil
	}
	unlock, err := lock(ctx, cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	ns, found := look(cfg)
	if !found || ns.sound(cfg) || len(users(cfg)) == 0 {
		return ns, nil
	}
	return repair(ctx, cfg, true)
}

// Release takes the user's mark away and ends the namespace if nobody uses it any
// more. A user who is not marked is no error.
func Release(ctx context.Context, cfg Config, user string) error {
	if !cfg.Rootless {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(cfg.Dir, lockFile)); errors.Is(err, fs.ErrNotExist) {
		return nil // there never was one
	}
	unlock, err := lock(ctx, cfg.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	return leave(ctx, cfg, user)
}

// Sweep ends a namespace that nobody uses: its last user, or who made it, was
// killed. It costs a system call where there never was one.
func Sweep(ctx context.Context, cfg Config) error { return Release(ctx, cfg, "") }

// Path is the file of the namespace, or Host.
func (n *Namespace) Path() string { return n.path }

// Inode tells the namespace from those before and after it; 0 is the host's own.
func (n *Namespace) Inode() uint64 { return n.inode }

// Do runs fn on a thread that is inside the namespace. Programs that fn starts are
// inside too; goroutines are not.
func (n *Namespace) Do(fn func() error) error {
	if n.path != Host {
		return netns.Do(n.path, fn)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return fn()
}

// look reads what is written down and holds it against the kernel.
func look(cfg Config) (*Namespace, bool) {
	data, err := os.ReadFile(filepath.Join(cfg.Dir, recordFile))
	if err != nil {
		return nil, false
	}
	var r record
	if json.Unmarshal(data, &r) != nil {
		return nil, false
	}
	dev, inode, err := identity(cfg.NetNS)
	if err != nil || dev != r.Dev || inode != r.Inode {
		return nil, false
	}
	return &Namespace{path: cfg.NetNS, inode: inode, Driver: r.Driver, asked: r.Asked, Link: link.Link{
		Process: r.Helper, Addresses: r.Addresses, DNS: r.DNS, HostAddress: r.HostAddress,
	}}, true
}

// sound says whether the helper lives and forwards name queries to whom the host
// asks. pasta reads that when it starts. Only a server on the host's loopback is
// asked through it: others can be reached without.
func (n *Namespace) sound(cfg Config) bool {
	if !n.Link.Process.Alive() {
		return false
	}
	if n.Driver != Pasta || cfg.Resolv == "" {
		return true
	}
	now := nameServer(cfg.Resolv)
	ip, err := netip.ParseAddr(now)
	return now == n.asked || err != nil || !ip.IsLoopback()
}

// nameServer is the first one in a resolv.conf.
func nameServer(path string) string {
	if path == "" {
		return ""
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
			return fields[1]
		}
	}
	return ""
}

// identity names a namespace for as long as it exists.
func identity(path string) (dev, inode uint64, err error) {
	if err := netns.Check(path); err != nil {
		return 0, 0, err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Dev, st.Ino, nil
}

// repair makes what is missing: the namespace, unless it was found, and a helper.
func repair(ctx context.Context, cfg Config, found bool) (*Namespace, error) {
	// A helper that was about to be ready when pod was killed is not written down.
	// The search is spared where there is not even the file of a namespace.
	if _, err := os.Lstat(cfg.NetNS); !errors.Is(err, fs.ErrNotExist) {
		if err := link.StopAll(ctx, cfg.NetNS); err != nil {
			return nil, err
		}
	}
	if !found {
		if err := step.Do(ctx, "usernet.make", func() error { return netns.Create(cfg.NetNS) }); err != nil {
			return nil, err
		}
	}
	ns := &Namespace{path: cfg.NetNS, Started: true, asked: nameServer(cfg.Resolv)}
	if err := step.Do(ctx, "usernet.helper", func() error { return ns.connect(ctx, cfg) }); err != nil {
		return nil, fmt.Errorf("connect bridge networks to the host: %w", err)
	}
	if err := ns.write(cfg); err != nil {
		return nil, err
	}
	if id := ns.Link.Process; cfg.Place != nil && id != (process.ID{}) {
		if err := cfg.Place(ctx, id.PID); err != nil {
			ns.Warnings = append(ns.Warnings, "bridge networks may lose the way out with this session: "+err.Error())
		}
	}
	return ns, nil
}

// write writes the namespace down, for who finds it next.
func (n *Namespace) write(cfg Config) error {
	dev, inode, err := identity(n.path)
	if err != nil {
		return err
	}
	n.inode = inode
	data, err := json.Marshal(record{
		Dev: dev, Inode: inode, Driver: n.Driver, Helper: n.Link.Process,
		Addresses: n.Link.Addresses, DNS: n.Link.DNS, HostAddress: n.Link.HostAddress, Asked: n.asked,
	})
	if err == nil {
		err = wholefile.Write(filepath.Join(cfg.Dir, recordFile), recordFile+".*", data)
	}
	if err != nil {
		return fmt.Errorf("write down the user's network namespace: %w", err)
	}
	return nil
}

// leave takes a mark away and ends the namespace with its last user. The lock is
// held.
func leave(ctx context.Context, cfg Config, user string) error {
	if user != "" {
		err := os.Remove(filepath.Join(cfg.Dir, usersDir, filepath.Base(user)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("leave the user's network namespace: %w", err)
		}
	}
	if len(users(cfg)) > 0 {
		return nil
	}
	return step.Do(ctx, "usernet.end", func() error { return end(ctx, cfg) })
}

// end takes the helper and the namespace down. The record goes last: until then
// whoever comes next sees that something is left.
func end(ctx context.Context, cfg Config) error {
	if cfg.Ending != nil {
		if err := cfg.Ending(ctx); err != nil {
			return err
		}
	}
	ns, found := look(cfg)
	switch {
	case found && ns.Link.Process != (process.ID{}):
		// Not waited for: taking down its device costs the kernel 10 to 50 ms.
		if err := link.Kill(ns.Link.Process); err != nil {
			return err
		}
	default:
		if _, err := os.Lstat(cfg.NetNS); errors.Is(err, fs.ErrNotExist) && !found {
			return forgetUsers(cfg) // who made it was killed before he did
		}
		if err := link.StopAll(ctx, cfg.NetNS); err != nil {
			return err
		}
	}
	if err := netns.Remove(cfg.NetNS); err != nil {
		return err
	}
	if err := forgetUsers(cfg); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(cfg.Dir, recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("end the user's network namespace: %w", err)
	}
	return nil
}

// forgetUsers removes the marks of what is gone.
func forgetUsers(cfg Config) error {
	if err := os.RemoveAll(filepath.Join(cfg.Dir, usersDir)); err != nil {
		return fmt.Errorf("end the user's network namespace: %w", err)
	}
	return nil
}

// Users names those who use the namespace now.
func Users(cfg Config) []string {
	names := make([]string, 0, 8)
	for _, u := range users(cfg) {
		names = append(names, u.Name)
	}
	slices.Sort(names)
	return names
}

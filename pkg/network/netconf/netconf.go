// Package netconf owns the definitions of networks: it reads, checks, makes,
// changes and removes them, in podman's place and format, so that both see the
// same networks. Whether a network is in use, and what it looks like in the
// kernel, is the matter of others.
//
// A definition is a file NAME.json. Whoever can write in the directory can write
// anything into it, so what is read is bounded and checked like an option.
package netconf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.podman.io/common/libnetwork/types"
	"go.podman.io/storage/pkg/lockfile"
	"golang.org/x/sys/unix"
)

const (
	suffix = ".json"
	// maxName leaves room for the suffix in a name of 255 bytes.
	maxName = 250
	// maxFile bounds a definition.
	maxFile = 1 << 20
	// maxInterface is the kernel's IFNAMSIZ without its null byte.
	maxInterface = 15
	// defaultID is the default network's everywhere.
	defaultID = "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9"
	// bridgePrefix begins the names of bridges that pod and podman choose.
	bridgePrefix = "podman"
)

// Pool is a range that subnets are taken from.
type Pool struct {
	Base netip.Prefix
	// Bits is the length of the subnets' prefix.
	Bits int
}

// Options say where definitions are and what new ones begin with.
type Options struct {
	// Dir holds the definitions.
	Dir string
	// LockFile is shared with podman.
	LockFile string
	// Default is the name of the default network, which exists without a file,
	// and DefaultSubnet its subnet.
	Default       string
	DefaultSubnet netip.Prefix
	Pools         []Pool
	// Taken returns the subnets and names of the host's interfaces.
	Taken func() ([]netip.Prefix, []string, error)
	// Parents: parents of macvlan and ipvlan must be among them (real root).
	Parents bool
}

// Store is the directory of definitions.
type Store struct{ opts Options }

// Open makes a Store; nothing is touched yet.
func Open(opts Options) *Store { return &Store{opts: opts} }

// Default is the name of the default network.
func (s *Store) Default() string { return s.opts.Default }

// List returns all networks by name, and what is wrong with files that are
// passed over.
func (s *Store) List() (networks []types.Network, wrong []error, err error) {
	entries, err := os.ReadDir(s.opts.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("list networks: %w", err)
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), suffix)
		if !ok || entry.IsDir() {
			continue
		}
		n, err := s.read(name)
		switch {
		case errors.Is(err, types.ErrNoSuchNetwork): // removed since
		case err != nil:
			wrong = append(wrong, err)
		default:
			networks = append(networks, *n)
		}
	}
	if !slices.ContainsFunc(networks, func(n types.Network) bool { return n.Name == s.opts.Default }) {
		networks = append(networks, s.byDefault())
	}
	slices.SortFunc(networks, func(a, b types.Network) int { return strings.Compare(a.Name, b.Name) })
	return networks, wrong, nil
}

// Lookup finds a network by its name, its id or the beginning of that. The error
// wraps types.ErrNoSuchNetwork if there is none.
func (s *Store) Lookup(nameOrID string) (*types.Network, error) {
	n, err := s.read(nameOrID)
	if err == nil || !errors.Is(err, types.ErrNoSuchNetwork) {
		return n, err
	}
	if nameOrID == s.opts.Default {
		d := s.byDefault()
		return &d, nil
	}
	all, _, err := s.List()
	if err != nil {
		return nil, err
	}
	var found *types.Network
	for i := range all {
		if nameOrID == "" || !strings.HasPrefix(all[i].ID, nameOrID) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("more than one result for network ID %s: give more of it, or the name", nameOrID)
		}
		found = &all[i]
	}
	if found == nil {
		return nil, fmt.Errorf("unable to find network with name or ID %s: %w", nameOrID, types.ErrNoSuchNetwork)
	}
	return found, nil
}

// byDefault is the default network as long as no file defines it.
func (s *Store) byDefault() types.Network {
	n := types.Network{
		Name: s.opts.Default, ID: defaultID, Driver: types.BridgeNetworkDriver, NetworkInterface: bridgePrefix + "0", Created: time.Now(),
		Subnets:     []types.Subnet{{Subnet: ipNet(s.opts.DefaultSubnet), Gateway: s.opts.DefaultSubnet.Masked().Addr().Next().AsSlice()}},
		IPAMOptions: map[string]string{types.Driver: types.HostLocalIPAMDriver},
		Labels:      map[string]string{}, Options: map[string]string{},
	}
	n.IPv6Enabled = s.opts.DefaultSubnet.Addr().Is6()
	return n
}

// read reads and checks one definition. The name is the file's: one that is not a
// network's name is not looked for.
func (s *Store) read(name string) (*types.Network, error) {
	if !types.NameRegex.MatchString(name) || len(name) > maxName {
		return nil, fmt.Errorf("unable to find network with name or ID %s: %w", name, types.ErrNoSuchNetwork)
	}
	path := filepath.Join(s.opts.Dir, name+suffix)
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("unable to find network with name or ID %s: %w", name, types.ErrNoSuchNetwork)
	}
	if err != nil {
		return nil, fmt.Errorf("read network %s: %w", name, err)
	}
	n := &types.Network{}
	if err := json.Unmarshal(data, n); err != nil {
		return nil, fmt.Errorf("read network %s: %s: %w: mend or remove the file", name, path, err)
	}
	if n.Name != name {
		return nil, fmt.Errorf("read network %s: %s says its name is %q: mend or remove the file", name, path, n.Name)
	}
	if err := check(n); err != nil {
		return nil, fmt.Errorf("read network %s: %s: %w: mend or remove the file", name, path, err)
	}
	return n, nil
}

// readFile reads a regular file that is not too large.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is not a regular file of at most %d bytes", path, maxFile)
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// write puts a definition in its place, whole, and on the disk.
func (s *Store) write(n *types.Network) (err error) {
	data, err := json.MarshalIndent(n, "", "     ")
	if err != nil {
		return fmt.Errorf("encode network %s: %w", n.Name, err)
	}
	f, err := os.CreateTemp(s.opts.Dir, ".new-*")
	if err != nil {
		return fmt.Errorf("write network %s: %w", n.Name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write network %s: %w", n.Name, err), os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()) // podman's mode: nothing in it is secret
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(s.opts.Dir, n.Name+suffix)); err != nil {
		return err
	}
	return syncDir(s.opts.Dir)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// lock takes the lock that podman takes too.
func (s *Store) lock() (unlock func(), err error) {
	if err := os.MkdirAll(s.opts.Dir, 0o755); err != nil { //nolint:gosec // podman's mode
		return nil, fmt.Errorf("make directory of networks: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.opts.LockFile), 0o755); err != nil { //nolint:gosec // as above
		return nil, fmt.Errorf("make directory of the networks' lock: %w", err)
	}
	l, err := lockfile.GetLockFile(s.opts.LockFile)
	if err != nil {
		return nil, fmt.Errorf("lock networks: %w", err)
	}
	l.Lock()
	return l.Unlock, nil
}

// Remove removes a network that nobody uses; prepare is asked first, under the
// lock, and may refuse.
func (s *Store) Remove(name string, prepare func(*types.Network) error) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	n, err := s.Lookup(name)
	if err != nil {
		return err
	}
	if n.Name == s.opts.Default {
		return fmt.Errorf("default network %s cannot be removed", n.Name)
	}
	if err := prepare(n); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.opts.Dir, n.Name+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network %s: %w", n.Name, err)
	}
	return syncDir(s.opts.Dir)
}

// UpdateDNS adds and removes name servers of a network and returns what it is
// then, and whether anything changed.
func (s *Store) UpdateDNS(name string, add, drop []string) (*types.Network, bool, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	n, err := s.Lookup(name)
	if err != nil {
		return nil, false, err
	}
	for flag, servers := range map[string][]string{"AddDNSServer": add, "RemoveDNSServer": drop} {
		for _, server := range servers {
			if _, err := netip.ParseAddr(server); err != nil {
				return nil, false, fmt.Errorf("unable to parse ip %s specified in %s: %w", server, flag, types.ErrInvalidArg)
			}
		}
	}
	before := n.NetworkDNSServers
	after := slices.DeleteFunc(slices.Clone(before), func(server string) bool { return slices.Contains(drop, server) })
	for _, server := range add {
		if !slices.Contains(after, server) {
			after = append(after, server)
		}
	}
	if slices.Equal(before, after) {
		return n, false, nil
	}
	n.NetworkDNSServers = after
	return n, true, s.write(n)
}

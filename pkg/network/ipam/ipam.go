// Package ipam gives out the addresses of networks: no address twice, whoever
// asks at the same time. Its database is podman's in place and format: on the
// network of real root both give addresses of the same networks. The database is
// locked for the milliseconds of a transaction only, and a transaction is whole
// or has not been, so a kill leaves at most the addresses of one container, which
// Free finds by its id.
package ipam

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"go.podman.io/common/libnetwork/types"
)

// The keys of a network's bucket; subnets are the others. Addresses are 4 or 16
// bytes long, lastKey is neither.
const (
	idsKey  = "ids"
	lastKey = "lastIP"
	// wait bounds how long a transaction waits for those of others.
	wait = 30 * time.Second
)

// Request asks for the addresses of a container on one network: one of each
// subnet. Of subnets that contain one of Static, that.
type Request struct {
	Network *types.Network
	Static  []netip.Addr
}

// ErrFull says that a network has no address left.
var ErrFull = errors.New("failed to find free IP in range")

// TakenError says who has an address that was asked for.
type TakenError struct {
	Addr netip.Addr
	By   string
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("requested ip address %s is already allocated to container ID %s", e.Addr, e.By)
}

// DB is a database of leases.
type DB struct{ path string }

// Open names the database; it is made by the first request.
func Open(path string) DB { return DB{path: path} }

// Managed says whether addresses of a network are given out here.
func Managed(n *types.Network) bool {
	driver := n.IPAMOptions[types.Driver]
	return (driver == types.HostLocalIPAMDriver || driver == "") && len(n.Subnets) > 0
}

func (d DB) open() (*bbolt.DB, error) {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return nil, fmt.Errorf("open database of addresses: %w", err)
	}
	// What it holds ends with the boot: nothing is synced.
	db, err := bbolt.Open(d.path, 0o600, &bbolt.Options{Timeout: wait, NoSync: true, NoGrowSync: true})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("open database of addresses: %s has been locked for %s by another process", d.path, wait)
	case err != nil:
		return nil, fmt.Errorf("open database of addresses %s: %w", d.path, err)
	}
	return db, nil
}

func (d DB) update(fn func(*bbolt.Tx) error) (err error) {
	db, err := d.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(fn)
}

// Lease gives a container its addresses on several networks, all or none, in the
// order of their subnets. A container that has addresses on one of them loses
// those first: they are of a run that is over.
func (d DB) Lease(id string, requests []Request) (map[string][]netip.Addr, error) {
	given := make(map[string][]netip.Addr, len(requests))
	managed := false
	for _, r := range requests {
		managed = managed || Managed(r.Network)
	}
	if !managed {
		return given, nil
	}
	err := d.update(func(tx *bbolt.Tx) error {
		for _, r := range requests {
			if !Managed(r.Network) {
				continue
			}
			if err := release(tx.Bucket([]byte(r.Network.Name)), id); err != nil {
				return err
			}
			ips, err := lease(tx, id, r)
			if err != nil {
				return err
			}
			given[r.Network.Name] = ips
		}
		return nil
	})
	return given, err
}

func lease(tx *bbolt.Tx, id string, r Request) ([]netip.Addr, error) {
	network, err := tx.CreateBucketIfNotExists([]byte(r.Network.Name))
	if err != nil {
		return nil, fmt.Errorf("lease an address of network %s: %w", r.Network.Name, err)
	}
	var ips []netip.Addr
	var raw []net.IP
	for i := range r.Network.Subnets {
		subnet := &r.Network.Subnets[i]
		bucket, err := network.CreateBucketIfNotExists([]byte(subnet.Subnet.String()))
		if err != nil {
			return nil, fmt.Errorf("lease an address of network %s: %w", r.Network.Name, err)
		}
		ip, err := choose(bucket, subnet, r)
		if err != nil {
			return nil, err
		}
		if err := bucket.Put(ip.AsSlice(), []byte(id)); err != nil {
			return nil, fmt.Errorf("lease an address of network %s: %w", r.Network.Name, err)
		}
		ips, raw = append(ips, ip), append(raw, ip.AsSlice())
	}
	ids, err := network.CreateBucketIfNotExists([]byte(idsKey))
	if err != nil {
		return nil, fmt.Errorf("lease an address of network %s: %w", r.Network.Name, err)
	}
	data, err := json.Marshal(raw)
	if err == nil {
		err = ids.Put([]byte(id), data)
	}
	if err != nil {
		return nil, fmt.Errorf("lease an address of network %s: %w", r.Network.Name, err)
	}
	return ips, nil
}

// choose returns the address asked for in a subnet, or the next free one.
func choose(bucket *bbolt.Bucket, subnet *types.Subnet, r Request) (netip.Addr, error) {
	for _, ip := range r.Static {
		if !subnet.Subnet.Contains(ip.AsSlice()) {
			continue
		}
		if subnet.Gateway != nil && subnet.Gateway.Equal(ip.AsSlice()) {
			return ip, fmt.Errorf("requested ip address %s is the gateway of network %s", ip, r.Network.Name)
		}
		if owner := bucket.Get(ip.AsSlice()); owner != nil {
			return ip, &TakenError{Addr: ip, By: string(owner)}
		}
		return ip, nil
	}
	ip, err := free(bucket, subnet)
	if err != nil {
		return ip, fmt.Errorf("network %s: %w", r.Network.Name, err)
	}
	return ip, bucket.Put([]byte(lastKey), ip.AsSlice())
}

// free finds the next address after the last one given that nobody has.
func free(bucket *bbolt.Bucket, subnet *types.Subnet) (netip.Addr, error) {
	first, last, err := bounds(subnet)
	if err != nil {
		return first, err
	}
	start := first
	if previous, ok := netip.AddrFromSlice(bucket.Get([]byte(lastKey))); ok {
		if next := previous.Unmap().Next(); next.IsValid() && next.Compare(first) >= 0 && next.Compare(last) <= 0 {
			start = next
		}
	}
	for ip, wrapped := start, false; ; {
		gateway := subnet.Gateway != nil && subnet.Gateway.Equal(ip.AsSlice())
		if !gateway && bucket.Get(ip.AsSlice()) == nil {
			return ip, nil
		}
		if ip = ip.Next(); !ip.IsValid() || ip.Compare(last) > 0 {
			if wrapped {
				break
			}
			ip, wrapped = first, true
		}
		if wrapped && ip == start {
			break
		}
	}
	return netip.Addr{}, fmt.Errorf("%w: %s - %s: remove containers, or make a larger network", ErrFull, first, last)
}

// bounds are the first and last address that may be given: neither the subnet's
// own nor the broadcast address.
func bounds(subnet *types.Subnet) (first, last netip.Addr, err error) {
	base, ok := netip.AddrFromSlice(subnet.Subnet.IP)
	ones, bits := subnet.Subnet.Mask.Size()
	if !ok || bits == 0 {
		return first, last, fmt.Errorf("subnet %s is invalid", subnet.Subnet.String())
	}
	p := netip.PrefixFrom(base.Unmap(), ones-(bits-base.Unmap().BitLen())).Masked()
	raw := p.Addr().AsSlice()
	for i := range raw {
		raw[i] |= ^net.CIDRMask(p.Bits(), p.Addr().BitLen())[i]
	}
	last, _ = netip.AddrFromSlice(raw)
	first = p.Addr()
	room := p.Addr().BitLen() - p.Bits()
	if room > 1 { // of a /31 and a /32 all addresses are hosts'
		first = first.Next()
		if first.Is4() {
			last = last.Prev()
		}
	}
	if r := subnet.LeaseRange; r != nil {
		if start, ok := netip.AddrFromSlice(r.StartIP); ok && start.Unmap().Compare(first) > 0 {
			first = start.Unmap()
		}
		if end, ok := netip.AddrFromSlice(r.EndIP); ok && end.Unmap().Compare(last) < 0 {
			last = end.Unmap()
		}
	}
	if first.Compare(last) > 0 {
		return first, last, fmt.Errorf("subnet %s has no address to give", p)
	}
	return first, last, nil
}

// release gives back what a container has on a network.
func release(network *bbolt.Bucket, id string) error {
	if network == nil {
		return nil
	}
	ids := network.Bucket([]byte(idsKey))
	if ids == nil {
		return nil
	}
	data := ids.Get([]byte(id))
	if data == nil {
		return nil
	}
	var ips []net.IP
	if err := json.Unmarshal(data, &ips); err != nil {
		return fmt.Errorf("read the addresses of container %s: %w", id, err)
	}
	owned := map[string]bool{}
	for _, ip := range ips {
		addr, _ := netip.AddrFromSlice(ip)
		owned[string(addr.Unmap().AsSlice())] = true
	}
	err := network.ForEachBucket(func(key []byte) error {
		if string(key) == idsKey {
			return nil
		}
		subnet := network.Bucket(key)
		for ip := range owned {
			if string(subnet.Get([]byte(ip))) != id {
				continue
			}
			if err := subnet.Delete([]byte(ip)); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, ids.Delete([]byte(id)))
}

// Free gives back what a container has on the networks named, or on all. What it
// does not have is no error.
func (d DB) Free(id string, networks ...string) error {
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return d.update(func(tx *bbolt.Tx) error {
		if len(networks) == 0 {
			return tx.ForEach(func(_ []byte, network *bbolt.Bucket) error { return release(network, id) })
		}
		for _, name := range networks {
			if err := release(tx.Bucket([]byte(name)), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Forget drops all that is known of a network.
func (d DB) Forget(network string) error {
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return d.update(func(tx *bbolt.Tx) error {
		if err := tx.DeleteBucket([]byte(network)); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
			return fmt.Errorf("forget the addresses of network %s: %w", network, err)
		}
		return nil
	})
}

// Holders lists the containers that have addresses, by network.
func (d DB) Holders() (map[string][]string, error) {
	holders := map[string][]string{}
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		return holders, nil
	}
	db, err := d.open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, network *bbolt.Bucket) error {
			ids := network.Bucket([]byte(idsKey))
			if ids == nil {
				return nil
			}
			return ids.ForEach(func(id, _ []byte) error {
				holders[string(name)] = append(holders[string(name)], string(id))
				return nil
			})
		})
	})
	return holders, err
}

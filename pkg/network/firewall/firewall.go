// Package firewall writes the rules of a bridge network into the network
// namespace of the calling thread, by netlink: one table a network, put in place
// and taken away in one piece. netavark makes the same of four runs of nft, or
// two hundred of iptables, at each start of a container; in the user's own
// namespace, which nobody else writes rules into, once a network is enough.
//
// What the rules do: addresses of the network are masqueraded on the way out; an
// internal network is not forwarded at all; isolated networks do not reach each
// other, strictly isolated ones no other network. Which table's chain sees a
// packet first is not known, so a table marks what comes from its bridge before
// all of them judge what goes to theirs.
package firewall

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Isolation of a network from others.
type Isolation int

// The kinds of isolation: none; from networks that are isolated too; from all.
const (
	Open Isolation = iota
	Isolated
	Strict
)

// Network is what the rules are about.
type Network struct {
	// Table names the rules: one word, and no other network's.
	Table string
	// Bridge is the interface.
	Bridge    string
	Subnets   []netip.Prefix
	Internal  bool
	Isolation Isolation
}

// Marks of packets between the chains, bits that nothing else here uses.
const (
	fromBridge   = 0x0100_0000
	fromIsolated = 0x0200_0000
	fromStrict   = 0x0400_0000
)

// ErrUnsupported says that the kernel has no nftables for this namespace.
var ErrUnsupported = errors.New("nftables is not to be had")

// Apply puts the rules in place, instead of those there are.
func Apply(n Network) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	table := &nftables.Table{Name: n.Table, Family: nftables.TableFamilyINet}
	// Deleting needs that it is there: in one batch all of it is done, or none.
	conn.AddTable(table)
	conn.DelTable(table)
	conn.AddTable(table)
	r := rules{conn: conn, table: table}
	r.mark(n)
	r.forward(n)
	if !n.Internal {
		r.masquerade(n)
	}
	if err := conn.Flush(); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPROTONOSUPPORT) {
			return fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return fmt.Errorf("write firewall rules of %s: %w", n.Bridge, err)
	}
	return nil
}

// Remove takes the rules of a network away; none is no error.
func Remove(table string) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	t := &nftables.Table{Name: table, Family: nftables.TableFamilyINet}
	conn.AddTable(t)
	conn.DelTable(t)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove firewall rules %s: %w", table, err)
	}
	return nil
}

// rules adds rules to one table.
type rules struct {
	conn  *nftables.Conn
	table *nftables.Table
}

func (r rules) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority nftables.ChainPriority) *nftables.Chain {
	accept := nftables.ChainPolicyAccept
	return r.conn.AddChain(&nftables.Chain{
		Name: name, Table: r.table, Type: kind, Hooknum: hook, Priority: &priority, Policy: &accept,
	})
}

func (r rules) add(chain *nftables.Chain, parts ...[]expr.Any) {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: chain, Exprs: all})
}

// mark marks what leaves the bridge for elsewhere, before any network judges it.
func (r rules) mark(n Network) {
	bits := uint32(fromBridge)
	switch n.Isolation {
	case Open:
	case Isolated:
		bits |= fromIsolated
	case Strict:
		bits |= fromIsolated | fromStrict
	}
	chain := r.chain("from", nftables.ChainTypeFilter, nftables.ChainHookForward, *nftables.ChainPriorityFilter-10)
	r.add(chain, input(n.Bridge, expr.CmpOpEq), output(n.Bridge, expr.CmpOpNeq), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: number(^bits), Xor: number(bits)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	})
}

// forward judges what goes to the bridge from elsewhere.
func (r rules) forward(n Network) {
	chain := r.chain("to", nftables.ChainTypeFilter, nftables.ChainHookForward, *nftables.ChainPriorityFilter)
	// What belongs to no connection would leave with addresses nobody knows.
	r.add(chain, []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: number(expr.CtStateBitINVALID), Xor: number(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: number(0)},
	}, drop())
	if n.Internal {
		r.add(chain, input(n.Bridge, expr.CmpOpEq), output(n.Bridge, expr.CmpOpNeq), drop())
		r.add(chain, input(n.Bridge, expr.CmpOpNeq), output(n.Bridge, expr.CmpOpEq), drop())
		return
	}
	refused := uint32(fromStrict)
	switch n.Isolation {
	case Open:
	case Isolated:
		refused |= fromIsolated
	case Strict:
		refused |= fromBridge
	}
	r.add(chain, input(n.Bridge, expr.CmpOpNeq), output(n.Bridge, expr.CmpOpEq), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: number(refused), Xor: number(0)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: number(0)},
	}, drop())
}

// masquerade hides the network's addresses from who is outside of it.
func (r rules) masquerade(n Network) {
	chain := r.chain("out", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, *nftables.ChainPriorityNATSource)
	for _, subnet := range n.Subnets {
		r.add(chain, family(subnet), address(subnet, source, expr.CmpOpEq), address(subnet, destination, expr.CmpOpNeq),
			address(multicast(subnet), destination, expr.CmpOpNeq), []expr.Any{&expr.Masq{}})
	}
}

func number(n uint32) []byte { return binaryutil.NativeEndian.PutUint32(n) }

func drop() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}} }

func input(name string, op expr.CmpOp) []expr.Any  { return device(expr.MetaKeyIIFNAME, name, op) }
func output(name string, op expr.CmpOp) []expr.Any { return device(expr.MetaKeyOIFNAME, name, op) }

func device(key expr.MetaKey, name string, op expr.CmpOp) []expr.Any {
	var padded [unix.IFNAMSIZ]byte
	copy(padded[:], name)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: padded[:]}}
}

func family(p netip.Prefix) []expr.Any {
	proto := byte(unix.NFPROTO_IPV4)
	if p.Addr().Is6() {
		proto = unix.NFPROTO_IPV6
	}
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}}}
}

// side is which address of a packet is meant.
type side int

const (
	source side = iota
	destination
)

// address compares an address of the packet, cut to the length of a prefix.
func address(p netip.Prefix, of side, op expr.CmpOp) []expr.Any {
	size, offset := uint32(4), uint32(12) // of the IPv4 header
	if p.Addr().Is6() {
		size, offset = 16, 8
	}
	if of == destination {
		offset += size
	}
	mask := make([]byte, size)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: mask, Xor: make([]byte, size)},
		&expr.Cmp{Op: op, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

func multicast(p netip.Prefix) netip.Prefix {
	if p.Addr().Is6() {
		return netip.MustParsePrefix("ff00::/8")
	}
	return netip.MustParsePrefix("224.0.0.0/4")
}

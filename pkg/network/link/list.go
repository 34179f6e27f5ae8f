package link

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// dumps is how often List begins again.
const dumps = 100

// List is all interfaces of the calling thread's network namespace. The kernel says when
// one came or went while it told of them (NLM_F_DUMP_INTR, netlink(7)), and some may be
// missing: then it is asked again.
func List() ([]netlink.Link, error) { return whole(netlink.LinkList) }

func whole(list func() ([]netlink.Link, error)) (all []netlink.Link, err error) {
	for range dumps {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

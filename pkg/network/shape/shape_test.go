package shape

import (
	"errors"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestBucket(t *testing.T) {
	for _, c := range []struct {
		rate uint64
		mtu  int
	}{{8_000, 65520}, {8_000, 1500}, {1e6, 65520}, {10e6, 1500}, {1e9, 65520}, {1e12, 1500}} {
		b := bucket(2, netlink.HANDLE_ROOT, c.rate, c.mtu)
		burst := uint64(netlink.Xmitsize(b.Rate, b.Buffer))
		if b.Rate != c.rate/8 {
			t.Errorf("%+v: rate %d", c, b.Rate)
		}
		// Ticks are of 64 ns, so a little may be lost.
		if least := uint64(c.mtu + headers); burst+b.Rate/1000+2 < least {
			t.Errorf("%+v: a packet of %d never passes a burst of %d", c, least, burst)
		}
		if uint64(b.Limit) < 4*uint64(c.mtu) {
			t.Errorf("%+v: a queue of %d bytes", c, b.Limit)
		}
	}
}

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		err         error
		unsupported bool
		want        string
	}{
		{unix.ENOENT, true, "modprobe sch_netem"},
		{unix.EOPNOTSUPP, true, "it has no netem"},
		{unix.EPERM, false, "operation not permitted"},
	} {
		got := explain("delay and loss", "netem", c.err)
		if errors.Is(got, ErrUnsupported) != c.unsupported || !strings.Contains(got.Error(), c.want) {
			t.Errorf("%v: got %v", c.err, got)
		}
	}
}

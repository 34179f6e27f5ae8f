package specgen

import (
	"strconv"
	"strings"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// user is what a user 1000 with the sub-ids 100000:65536 has.
var user = []rspec.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 65536}}

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func text(maps []rspec.LinuxIDMapping) string {
	var b strings.Builder
	for i, m := range maps {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(strings.Join([]string{itoa(m.ContainerID), itoa(m.HostID), itoa(m.Size)}, ":"))
	}
	return b.String()
}

func TestIDMaps(t *testing.T) {
	const whole = "0:0:1 1:1:65536"
	for _, c := range []struct {
		name, uidmap, gidmap, uids, gids, err string
	}{
		{name: "plain counts for both", uidmap: "0:1:10", uids: "0:1:10", gids: "0:1:10"},
		{name: "each its own", uidmap: "0:1:10", gidmap: "0:5:3", uids: "0:1:10", gids: "0:5:3"},
		{name: "uids alone", uidmap: "u0:1:10", uids: "0:1:10", gids: whole},
		{name: "gids alone", uidmap: "g0:1:10", uids: whole, gids: "0:1:10"},
		{name: "size is one", uidmap: "0:0", uids: "0:0:1", gids: "0:0:1"},
		{name: "extended by a host id", uidmap: "+100000:@1000", uids: "0:1:65536 100000:0:1", gids: "0:1:65536 100000:0:1"},
		{name: "extended in the middle", uidmap: "+u5:@1000:1", uids: "0:1:5 5:0:1 6:6:65531", gids: whole},
		{name: "the rest closes up", uidmap: "+u5:3:1", uids: "0:0:1 1:1:2 3:4:2 5:3:1 6:6:65531", gids: whole},
		{
			name: "two extensions", uidmap: "+u5:3:2 +u50:10:1",
			uids: "0:0:1 1:1:2 3:5:2 5:3:2 7:7:3 10:11:40 50:10:1 51:51:65486", gids: whole,
		},
		{name: "a gid of the host", gidmap: "+g102:@1000", uids: whole, gids: "0:1:102 102:0:1 103:103:65434"},
		{name: "over a plain one", uidmap: "0:1:10 +u5:20:1", gidmap: "0:1:10", uids: "0:1:5 5:20:1 6:7:4", gids: "0:1:10"},
		{name: "across ranges of the host", uidmap: "7:@100000:2", uids: "7:1:2", gids: "7:1:2"},
		{name: "before a plain one", uidmap: "+5:20:1 0:1:10", err: "conflicts with other mappings"},
		{name: "twice", uidmap: "0:0:1 0:5:1", err: "conflicts with other mappings"},
		{name: "outside twice", uidmap: "0:5:1 1:5:1", err: "conflicts with other mappings"},
		{name: "not delegated", gidmap: "+g102:@1:1", err: "parent ID GID 1 is not mapped/delegated"},
		{name: "more than there is", uidmap: "0:0:70000", err: "has not all of these ids"},
		{name: "none", uidmap: "0:0:0", err: "at least 1"},
		{name: "word", uidmap: "x", err: `UID setting is malformed expected ["[+ug]uint32:[@]uint32[:uint32]"] : ["x"]`},
		{name: "too many parts", uidmap: "0:0:1:1", err: "malformed"},
		{name: "negative", uidmap: "0:-1:1", err: "malformed"},
		{name: "beyond", uidmap: "4294967295:0:2", err: "ids end at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			uids, gids, err := IDMaps(strings.Fields(c.uidmap), strings.Fields(c.gidmap), user, user)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if text(uids) != c.uids || text(gids) != c.gids {
				t.Errorf("uids %s\nwant %s\ngids %s\nwant %s", text(uids), c.uids, text(gids), c.gids)
			}
		})
	}
}

func FuzzIDMaps(f *testing.F) {
	for _, s := range []string{"0:1:10", "+5:@1000", "+g1:2:3 u0:0:1", "+1:4294967294:1", "+4294967294:1:1 +0:0:4294967295"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		uids, gids, err := IDMaps(strings.Fields(s), nil, user, user)
		if err != nil {
			return
		}
		for _, maps := range [][]rspec.LinuxIDMapping{uids, gids} {
			if err := checkMap(maps, user); err != nil {
				t.Errorf("%q gives %s: %v", s, text(maps), err)
			}
		}
	})
}

func TestMountIdmap(t *testing.T) {
	uids, gids, err := parseMountIdmap("uids=0-1-10#10-@11-1;gids=0-100-10")
	if err == nil {
		t.Fatalf("accepted %v %v", uids, gids)
	}
	uids, gids, err = parseMountIdmap("uids=0-1-10#@10-11-10;gids=0-100-10")
	if err != nil {
		t.Fatal(err)
	}
	own := []rspec.LinuxIDMapping{{ContainerID: 0, HostID: 50, Size: 100}}
	flat, err := mountIDs(uids, own)
	if err != nil {
		t.Fatal(err)
	}
	if text(flat) != "0:1:10 10:61:10" || len(gids) != 1 {
		t.Errorf("got %s and %d", text(flat), len(gids))
	}
	for _, bad := range []string{"", "uids", "uids=0-1", "x=0-1-2", "uids=a-b-c"} {
		if _, _, err := parseMountIdmap(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

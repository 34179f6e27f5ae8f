package libpod

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/pkg/accounts"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// idMaps are the maps of a container's own user namespace, in ids of the
// namespace pod runs in; empty when it shares pod's.
type idMaps struct {
	uid, gid []rspec.LinuxIDMapping
	// auto asks the store for ids that no other container has.
	auto *storage.AutoMaps
}

// minAutoIDs is the least number of ids that auto gives.
const minAutoIDs = 1024

// mapsOf are the maps of a container that exists; those of auto are in the store.
func (e *Engine) mapsOf(ctx context.Context, c *state.Container) (idMaps, error) {
	maps, err := e.userMaps(ctx, &c.Spec)
	if err != nil {
		return maps, err
	}
	if maps.auto == nil {
		return e.split(maps), nil
	}
	store, err := e.Storage()
	if err != nil {
		return idMaps{}, err
	}
	maps.auto = nil
	maps.uid, maps.gid, err = store.IDMaps(ctx, c.ID)
	return e.split(maps), err
}

// split cuts maps at the borders of the ranges pod has.
func (e *Engine) split(maps idMaps) idMaps {
	maps.uid = specgen.SplitIDMap(maps.uid, mappings(e.Session.UIDMap))
	maps.gid = specgen.SplitIDMap(maps.gid, mappings(e.Session.GIDMap))
	return maps
}

// userMaps computes the maps for the description, and the ids that keep-id
// gives the container's process.
func (e *Engine) userMaps(ctx context.Context, c *specgen.Container) (idMaps, error) {
	if c.Spaces.Mapped() {
		return e.givenMaps(c)
	}
	mode, err := specgen.ParseUserNS(c.Spaces.User)
	if err != nil {
		return idMaps{}, err
	}
	switch {
	case mode.KeepID:
		return e.keepMaps(c, mode)
	case mode.NoMap:
		if !e.Session.Rootless {
			return idMaps{}, fmt.Errorf("--userns nomap: it is for users other than root; leave it out as root")
		}
		uids, gids := total(e.Session.UIDMap), total(e.Session.GIDMap)
		if uids < 2 || gids < 2 {
			return idMaps{}, fmt.Errorf("--userns nomap: there are no sub-ids to map: `pod info` says why")
		}
		return idMaps{uid: []rspec.LinuxIDMapping{{HostID: 1, Size: uids - 1}}, gid: []rspec.LinuxIDMapping{{HostID: 1, Size: gids - 1}}}, nil
	case mode.Auto:
		return idMaps{auto: &storage.AutoMaps{Size: mode.Size, UIDMap: mode.UIDMap, GIDMap: mode.GIDMap}}, nil
	case mode.Container != "":
		other, err := e.state.Lookup(ctx, mode.Container)
		if err != nil {
			return idMaps{}, err
		}
		if other.Spec.IsInfra && c.Process.User == "" && c.Pod == other.Spec.Pod {
			c.Process.User = other.Spec.Process.User // that of keep-id
		}
		return e.mapsOf(ctx, other)
	case mode.Path != "":
		return pathMaps(mode.Path), nil
	}
	return idMaps{}, nil
}

// keepMaps are those of keep-id.
func (e *Engine) keepMaps(c *specgen.Container, mode specgen.UserNS) (idMaps, error) {
	if !e.Session.Rootless {
		return idMaps{}, fmt.Errorf("--userns %s: keep-id is for users other than root; leave it out as root", c.Spaces.User)
	}
	uid, gid := uint32(e.Session.HostUID), uint32(e.Session.HostGID)
	if mode.UID != nil {
		uid = *mode.UID
	}
	if mode.GID != nil {
		gid = *mode.GID
	}
	if c.Process.User == "" {
		c.Process.User = fmt.Sprintf("%d:%d", uid, gid)
	}
	uids, gids := total(e.Session.UIDMap), total(e.Session.GIDMap)
	if mode.Size > 0 {
		uids, gids = min(uids, mode.Size), min(gids, mode.Size)
	}
	return idMaps{uid: keepID(uid, uids), gid: keepID(gid, gids)}, nil
}

// givenMaps are those of --uidmap, --gidmap, --subuidname and --subgidname.
func (e *Engine) givenMaps(c *specgen.Container) (idMaps, error) {
	s := &c.Spaces
	uids, gids := s.UIDMap, s.GIDMap
	uidName, gidName := s.SubUIDName, s.SubGIDName
	if gidName == "" && len(gids) == 0 {
		gidName = uidName
	}
	if uidName == "" && len(uids) == 0 {
		uidName = gidName
	}
	for _, n := range []struct {
		name, file string
		words      *[]string
	}{{uidName, "/etc/subuid", &uids}, {gidName, "/etc/subgid", &gids}} {
		if n.name == "" {
			continue
		}
		ranges, err := rootless.NamedSubIDs(n.file, n.name)
		if err != nil {
			return idMaps{}, err
		}
		inside := 0
		for _, r := range ranges {
			*n.words = append(*n.words, fmt.Sprintf("%d:@%d:%d", inside, r.HostID, r.Size))
			inside += r.Size
		}
	}
	var maps idMaps
	var err error
	maps.uid, maps.gid, err = specgen.IDMaps(uids, gids, mappings(e.Session.UIDMap), mappings(e.Session.GIDMap))
	return maps, err
}

func mappings(maps []rootless.Mapping) []rspec.LinuxIDMapping {
	var out []rspec.LinuxIDMapping
	for _, m := range maps {
		out = append(out, rspec.LinuxIDMapping{ContainerID: uint32(m.ContainerID), HostID: uint32(m.HostID), Size: uint32(m.Size)})
	}
	return out
}

// pathMaps are the maps of the namespace of a process, /proc/PID/ns/user; of other
// files nobody can tell.
func pathMaps(path string) idMaps {
	dir := filepath.Dir(filepath.Dir(filepath.Clean(path)))
	if filepath.Dir(dir) != "/proc" {
		return idMaps{}
	}
	return idMaps{uid: procMap(dir + "/uid_map"), gid: procMap(dir + "/gid_map")}
}

func procMap(path string) []rspec.LinuxIDMapping {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var maps []rspec.LinuxIDMapping
	for line := range strings.Lines(string(data)) {
		var m rspec.LinuxIDMapping
		if _, err := fmt.Sscan(line, &m.ContainerID, &m.HostID, &m.Size); err == nil {
			maps = append(maps, m)
		}
	}
	return maps
}

// autoSize is the number of ids the image needs, by its own accounts.
func (e *Engine) autoSize(ctx context.Context, c *state.Container) (uint32, error) {
	highest := uint32(0)
	name, group, _ := strings.Cut(c.Spec.Process.User, ":")
	for _, word := range []string{name, group} {
		if n, err := strconv.ParseUint(word, 10, 32); err == nil {
			highest = max(highest, uint32(n))
		}
	}
	if c.ImageID != "" {
		store, err := e.Storage()
		if err != nil {
			return 0, err
		}
		err = store.WithImage(ctx, c.ImageID, func(root string) error {
			passwd, err := accounts.Read(root, accounts.Passwd)
			if err != nil {
				return err
			}
			group, err := accounts.Read(root, accounts.Group)
			highest = max(highest, accounts.MaxID(passwd, group))
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return max(minAutoIDs, highest+1), nil
}

// hostUser looks a user of the host up, for an entry in the container.
func hostUser(name string) (accounts.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return accounts.User{}, fmt.Errorf("--hostuser %s: no such user on the host", name)
		}
	}
	return accounts.User{Name: u.Username, UID: u.Uid, GID: u.Gid, Gecos: u.Name, Home: u.HomeDir}, nil
}

// total is the number of ids that maps give, from 0 up.
func total(maps []rootless.Mapping) uint32 {
	var n uint32
	for _, m := range maps {
		n += uint32(m.Size)
	}
	return n
}

// keepID maps id to 0 of the outer namespace, which is the user, and the other
// ids of the container in order to the other ids there are.
func keepID(id, available uint32) []rspec.LinuxIDMapping {
	rest := available - 1 // outer ids 1…
	below := min(id, rest)
	var maps []rspec.LinuxIDMapping
	if below > 0 {
		maps = append(maps, rspec.LinuxIDMapping{ContainerID: 0, HostID: 1, Size: below})
	}
	maps = append(maps, rspec.LinuxIDMapping{ContainerID: id, HostID: 0, Size: 1})
	if rest > below {
		maps = append(maps, rspec.LinuxIDMapping{ContainerID: id + 1, HostID: below + 1, Size: rest - below})
	}
	return maps
}

// outer translates an id of the container to pod's own namespace.
func outer(maps []rspec.LinuxIDMapping, id uint32) (uint32, error) {
	if len(maps) == 0 {
		return id, nil
	}
	for _, m := range maps {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + id - m.ContainerID, nil
		}
	}
	return 0, fmt.Errorf("id %d is not mapped in the container's user namespace", id)
}

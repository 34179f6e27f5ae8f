package libpod

import (
	"context"
	"fmt"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// idMaps are the maps of a container's own user namespace, in ids of the
// namespace pod runs in; empty when it shares pod's.
type idMaps struct {
	uid, gid []rspec.LinuxIDMapping
}

// userMaps computes the maps for the description, and the ids that keep-id
// gives the container's process.
func (e *Engine) userMaps(ctx context.Context, c *specgen.Container) (idMaps, error) {
	mode, err := specgen.ParseUserNS(c.Spaces.User)
	if err != nil {
		return idMaps{}, err
	}
	if mode.Container != "" {
		other, err := e.state.Lookup(ctx, mode.Container)
		if err != nil {
			return idMaps{}, err
		}
		theirs := other.Spec
		return e.userMaps(ctx, &theirs)
	}
	if !mode.KeepID {
		return idMaps{}, nil
	}
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
	return idMaps{uid: keepID(uid, total(e.Session.UIDMap)), gid: keepID(gid, total(e.Session.GIDMap))}, nil
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

package libpod

import (
	"context"
	"fmt"
	"slices"

	"go.podman.io/common/pkg/chown"

	"github.com/rootless-pod/pod/pkg/filecopy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/volume"
)

// prepareVolumes mounts the volumes of a container, fills new ones with what the
// image has at their place, and gives volumes and binds their owners where that was
// asked for (:U). It returns the flags that volumes have of their own, by name.
func (e *Engine) prepareVolumes(ctx context.Context, c *state.Container, root string) (map[string][]string, error) {
	flags := map[string][]string{}
	for _, m := range c.Spec.Storage.Mounts {
		_, own := m.Split()
		source := m.Source
		if m.Type == "volume" {
			source = e.volumeDir(m.Source)
			options, err := e.prepareVolume(ctx, c, m, root)
			if err != nil {
				return nil, err
			}
			if options != nil {
				flags[m.Source] = options.Flags()
			}
		}
		if own.Chown && !own.Overlay && (m.Type == "bind" || m.Type == "volume") {
			if err := e.giveTo(ctx, c, root, source); err != nil {
				return nil, err
			}
		}
	}
	return flags, nil
}

// prepareVolume mounts a volume, and lets the image decide what is in it as long as
// nothing is: so the field has it. It returns what the volume's options say, if there
// are any.
func (e *Engine) prepareVolume(ctx context.Context, c *state.Container, m specgen.Mount, root string) (*volume.Options, error) {
	v, err := e.state.VolumeNamed(ctx, m.Source)
	if err != nil {
		return nil, err
	}
	options, needed, err := needsMount(v)
	if err != nil {
		return nil, err
	}
	fresh := (v.NeedsCopyUp || v.NeedsChown) && root != "" && v.Driver == volume.Local
	if !needed && fresh && !v.NeedsChown {
		// Something was in it before: nearly always there still is.
		if empty, err := volume.Empty(e.volumeDir(v.Name)); err == nil && !empty {
			return options, nil
		}
	}
	if !needed && !fresh {
		return options, nil
	}
	lock, err := e.lockVolume(ctx, v.Name)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	if v, err = e.state.VolumeNamed(ctx, m.Source); err != nil {
		return nil, err
	}
	if err := e.mountVolume(ctx, v); err != nil {
		return nil, fmt.Errorf("mount volume %s for container %s: %w", v.Name, c.Name, err)
	}
	if !fresh || (!v.NeedsCopyUp && !v.NeedsChown) {
		return options, nil
	}
	_, own := m.Split()
	first := volume.First{
		Root: root, Path: m.Destination,
		Copy: v.NeedsCopyUp && !own.NoCopy && (options == nil || !options.NoCopy),
		Own:  v.NeedsChown && !own.Chown && !slices.Contains(m.Options, "idmap"),
	}
	if first.UID, first.GID, err = e.outerUser(ctx, c, root); err != nil {
		return nil, err
	}
	empty, filled, err := first.Prepare(e.volumeDir(v.Name))
	if err != nil {
		return nil, fmt.Errorf("fill volume %s from %s of the image: %w", v.Name, m.Destination, err)
	}
	if empty && !filled {
		return options, nil
	}
	v.NeedsChown = false
	if filled {
		v.NeedsCopyUp = false
	}
	return options, e.state.UpdateVolume(ctx, v)
}

// outerUser is the container's user, in ids of pod's own namespace.
func (e *Engine) outerUser(ctx context.Context, c *state.Container, root string) (uid, gid int, err error) {
	who, err := resolveUser(root, c.Spec.Process.User, nil)
	if err != nil {
		return 0, 0, err
	}
	maps, err := e.mapsOf(ctx, c)
	if err != nil {
		return 0, 0, err
	}
	u, err := filecopy.Outer(maps.uid, who.uid)
	if err != nil {
		return 0, 0, err
	}
	g, err := filecopy.Outer(maps.gid, who.gid)
	return int(u), int(g), err
}

// giveTo makes the container's user the owner of a tree.
func (e *Engine) giveTo(ctx context.Context, c *state.Container, root, path string) error {
	uid, gid, err := e.outerUser(ctx, c, root)
	if err != nil {
		return err
	}
	if err := chown.ChangeHostPathOwnership(path, true, uid, gid); err != nil {
		return fmt.Errorf("give %s to %d:%d: %w", path, uid, gid, err)
	}
	return nil
}

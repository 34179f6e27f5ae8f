package libpod

import (
	"context"
	"errors"
	"fmt"

	"go.podman.io/storage/pkg/archive"

	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// DiffScope is what the names of a comparison may be.
type DiffScope struct{ Containers, Images bool }

// ChangeKind is what happened to a path: added, changed or deleted.
type ChangeKind string

// The kinds, in the field's letters.
const (
	Changed ChangeKind = "C"
	Added   ChangeKind = "A"
	Deleted ChangeKind = "D"
)

// Change is one path that differs.
type Change struct {
	Kind ChangeKind
	Path string
}

// Diff lists what the file system called name has over the one called against,
// or, if that is empty, over its image or the layer below. What the runtime puts
// into every container is left out.
func (e *Engine) Diff(ctx context.Context, name, against string, scope DiffScope) ([]Change, error) {
	to, own, err := e.layerOf(ctx, name, scope)
	if err != nil {
		return nil, err
	}
	from := ""
	if against != "" {
		if from, _, err = e.layerOf(ctx, against, scope); err != nil {
			return nil, err
		}
	}
	store, err := e.Storage()
	if err != nil {
		return nil, err
	}
	changes, err := store.LayerChanges(ctx, from, to)
	if err != nil {
		return nil, fmt.Errorf("diff of %s: %w", name, err)
	}
	out := make([]Change, 0, len(changes))
	for _, c := range changes {
		if !own[c.Path] {
			out = append(out, Change{changeKind(c.Kind), c.Path})
		}
	}
	return out, nil
}

func changeKind(kind archive.ChangeType) ChangeKind {
	switch kind {
	case archive.ChangeAdd:
		return Added
	case archive.ChangeDelete:
		return Deleted
	case archive.ChangeModify:
	}
	return Changed
}

// layerOf finds the top layer that a name means, and the paths in it that are
// the runtime's.
func (e *Engine) layerOf(ctx context.Context, name string, scope DiffScope) (layer string, own map[string]bool, err error) {
	if scope.Containers {
		layer, own, err = e.containerLayer(ctx, name)
		if err == nil || !isAbsent(err) || !scope.Images {
			return layer, own, err
		}
	}
	images, openErr := e.Images()
	if openErr != nil {
		return "", nil, openErr
	}
	layer, imageErr := images.TopLayer(ctx, name)
	if errors.Is(imageErr, basic.ErrNoImage) && scope.Containers {
		return "", nil, fmt.Errorf("%s: no such container or image: `pod ps --all` and `pod images` list them", name)
	}
	return layer, nil, imageErr
}

func (e *Engine) containerLayer(ctx context.Context, name string) (string, map[string]bool, error) {
	store, err := e.Storage()
	if err != nil {
		return "", nil, err
	}
	id := name
	c, err := e.state.Lookup(ctx, name)
	switch {
	case err == nil && !c.Spec.Layered():
		return "", nil, fmt.Errorf("container %s runs on the directory %s, which has no image below: compare it with diff(1)", c.Name, e.rootfsOf(c))
	case err == nil:
		id = c.ID
	case !isAbsent(err):
		return "", nil, err
	}
	stored, storeErr := store.Container(ctx, id)
	if errors.Is(storeErr, storage.ErrNoContainer) {
		return "", nil, state.ErrNoContainer{Name: name}
	}
	if storeErr != nil {
		return "", nil, storeErr
	}
	if c == nil {
		return stored.LayerID, runtimePaths(nil), nil // another tool's
	}
	return stored.LayerID, runtimePaths(c), nil
}

// runtimePaths are the places at which every container has something mounted,
// and those of its own mounts.
func runtimePaths(c *state.Container) map[string]bool {
	own := map[string]bool{initInside: true}
	for _, p := range []string{
		"/dev", "/proc", "/sys", "/run", "/run/.containerenv", "/run/notify", "/run/secrets",
		"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab",
	} {
		own[p] = true
	}
	if c != nil {
		for _, m := range c.Spec.Storage.Mounts {
			own[m.Destination] = true
		}
	}
	return own
}

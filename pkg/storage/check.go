package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	cstorage "go.podman.io/storage"
)

// The kinds of what Check finds damaged.
const (
	KindLayer     = "layer"
	KindImage     = "image"
	KindContainer = "container"
)

// CheckOptions choose what Check looks at.
type CheckOptions struct {
	// Quick leaves out what reads every file: layers against their digests and
	// against what is unpacked.
	Quick bool
	// MaxAge is how old a layer without image or container may be before it
	// counts as left over; nil is a day, since a pull may be under way.
	MaxAge *time.Duration
}

// Damage is something that is not as it was written.
type Damage struct {
	Kind, ID string
	ReadOnly bool
	Problems []string
}

// Report is what Check found.
type Report struct {
	found cstorage.CheckReport
}

// Check compares the store with its own records. It changes nothing.
func (s *Store) Check(ctx context.Context, o CheckOptions) (*Report, error) {
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	what := cstorage.CheckEverything()
	if o.Quick {
		what = cstorage.CheckMost()
		what.LayerDigests = false
	}
	what.LayerUnreferencedMaximumAge = o.MaxAge
	found, err := lib.Check(what)
	if err != nil {
		return nil, fmt.Errorf("check the store: %w", err)
	}
	// The library blames a container for its image, not for its own layer.
	all, err := lib.Containers()
	if err != nil {
		return nil, fmt.Errorf("list containers of the store: %w", err)
	}
	for _, c := range all {
		if errs := found.Layers[c.LayerID]; len(errs) > 0 {
			found.Containers[c.ID] = append(found.Containers[c.ID], errs...)
		}
	}
	return &Report{found: found}, nil
}

// Damages lists what was found, layers first, each kind by id.
func (r *Report) Damages() []Damage {
	var all []Damage
	add := func(kind string, readOnly bool, found map[string][]error) {
		for _, id := range slices.Sorted(maps.Keys(found)) {
			d := Damage{Kind: kind, ID: id, ReadOnly: readOnly}
			for _, err := range found[id] {
				d.Problems = append(d.Problems, err.Error())
			}
			all = append(all, d)
		}
	}
	add(KindLayer, false, r.found.Layers)
	add(KindLayer, true, r.found.ROLayers)
	add(KindImage, false, r.found.Images)
	add(KindImage, true, r.found.ROImages)
	add(KindContainer, false, r.found.Containers)
	return all
}

// Repair removes damaged images and layers, with containers also damaged
// containers. What a container that stays is built on is left alone, damaged as
// it is. It returns what is gone.
func (s *Store) Repair(ctx context.Context, r *Report, containers bool) ([]Damage, error) {
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := s.removable(lib, r.found, containers)
	if err != nil {
		return nil, err
	}
	failed := errors.Join(lib.Repair(plan, &cstorage.RepairOptions{RemoveContainers: containers})...)
	if failed != nil {
		failed = fmt.Errorf("repair the store: %w", failed)
	}
	var gone []Damage
	for _, d := range (&Report{found: plan}).Damages() {
		if d.ReadOnly || lib.Exists(d.ID) {
			continue
		}
		gone = append(gone, d)
	}
	return gone, failed
}

// removable is the part of a report that nothing needs which stays.
func (s *Store) removable(lib cstorage.Store, found cstorage.CheckReport, containers bool) (cstorage.CheckReport, error) {
	keep, err := s.needed(lib, found, containers)
	if err != nil {
		return found, err
	}
	found.Layers, found.Images, found.Containers = maps.Clone(found.Layers), maps.Clone(found.Images), maps.Clone(found.Containers)
	held := func(id string, _ []error) bool { return keep[id] }
	maps.DeleteFunc(found.Layers, held)
	maps.DeleteFunc(found.Images, held)
	maps.DeleteFunc(found.Containers, func(id string, _ []error) bool {
		return !containers || !lib.Exists(id) // the caller may have removed some
	})
	return found, nil
}

// needed are the ids of the images and layers below containers that stay, and
// the layers below images that stay.
func (s *Store) needed(lib cstorage.Store, found cstorage.CheckReport, containers bool) (map[string]bool, error) {
	layers, err := lib.Layers()
	if err != nil {
		return nil, fmt.Errorf("list layers: %w", err)
	}
	images, err := lib.Images()
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	all, err := s.withPassing(lib).Containers()
	if err != nil {
		return nil, fmt.Errorf("list containers of the store: %w", err)
	}
	parent := map[string]string{}
	for i := range layers {
		parent[layers[i].ID] = layers[i].Parent
	}
	keep := map[string]bool{}
	chain := func(layer string) {
		for layer != "" && !keep[layer] {
			keep[layer] = true
			layer = parent[layer]
		}
	}
	for i := range all {
		if _, damaged := found.Containers[all[i].ID]; containers && damaged {
			continue
		}
		keep[all[i].ImageID] = true
		chain(all[i].LayerID)
	}
	for i := range images {
		if _, damaged := found.Images[images[i].ID]; damaged && !keep[images[i].ID] {
			continue
		}
		chain(images[i].TopLayer)
		for _, layer := range images[i].MappedTopLayers {
			chain(layer)
		}
	}
	return keep, nil
}

// CollectGarbage removes directories of containers and layers that no list of the
// store names: what a kill or a power cut leaves below the lists.
func (s *Store) CollectGarbage(ctx context.Context) error {
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	if err := lib.GarbageCollect(); err != nil {
		return fmt.Errorf("collect garbage of the store: %w", err)
	}
	return nil
}

// Builds lists the containers that buildah made for builds: it keeps a file of its
// own in their directory.
func (s *Store) Builds(ctx context.Context) ([]Container, error) {
	all, err := s.Containers(ctx)
	if err != nil {
		return nil, err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c Container) bool {
		dir, err := lib.ContainerDirectory(c.ID)
		if err == nil {
			_, err = os.Lstat(filepath.Join(dir, "buildah.json"))
		}
		return err != nil || c.Creator == Creator
	}), nil
}

// DeleteForeign removes a container that another tool made. What is gone already
// is no error.
func (s *Store) DeleteForeign(ctx context.Context, id string) error {
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	err = lib.DeleteContainer(id)
	if errors.Is(err, cstorage.ErrContainerUnknown) || errors.Is(err, cstorage.ErrNotAContainer) {
		return nil
	}
	return translate("delete storage of", id, err)
}

package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	cstorage "go.podman.io/storage"
	"go.podman.io/storage/pkg/idtools"
	"go.podman.io/storage/types"
)

const (
	// Creator marks pod's containers in their metadata.
	Creator = "pod"
	// layerMark begins the id of every layer that pod makes for a container
	// ("pod!"): the library gives a container's layer neither name nor flag.
	layerMark = "706f6421"
	idLength  = 64
)

// ContainerOptions describe a container's root file system.
type ContainerOptions struct {
	// ID is 64 lower-case hexadecimal digits.
	ID string
	// ImageID is the image below; empty for an empty root file system.
	ImageID string
	// Name is the name in the store, which other tools see too; empty for none.
	Name string
	// RunDir is pod's run directory, where the container's record may be.
	RunDir string
	// Created is when the container was made; now, if zero.
	Created time.Time
	// Volatile containers may be lost with the machine's power: nothing of them
	// is synced.
	Volatile bool
	// UIDMap and GIDMap, when set, give the files other owners.
	UIDMap, GIDMap []rspec.LinuxIDMapping
	// Auto gives the files owners that no other container of the store has.
	Auto *AutoMaps
	// LabelOpts are SELinux options.
	LabelOpts []string
	// MountPoints says that all of /etc/hosts, /etc/hostname, /etc/resolv.conf and
	// /run/.containerenv will be mounted on, beside /dev, /proc and /sys: they may be
	// there, empty, where the image lacks them.
	MountPoints bool
	// StorageOpt are per-container driver options (size, inodes).
	StorageOpt map[string]string
}

// AutoMaps ask for a user namespace of Size ids that are in no other container's;
// UIDMap and GIDMap are part of it.
type AutoMaps struct {
	Size           uint32
	UIDMap, GIDMap []rspec.LinuxIDMapping
}

// ordinary says whether the root file system is that of an image with something written
// over it: files of no other owners, and nothing asked of the driver.
func (o *ContainerOptions) ordinary() bool {
	return o.ImageID != "" && len(o.UIDMap) == 0 && len(o.GIDMap) == 0 && o.Auto == nil && len(o.StorageOpt) == 0
}

// mappings are what the library is told about the owners of files.
func (o *ContainerOptions) mappings() types.IDMappingOptions {
	if o.Auto == nil {
		return types.IDMappingOptions{
			HostUIDMapping: len(o.UIDMap) == 0, HostGIDMapping: len(o.GIDMap) == 0,
			UIDMap: idMaps(o.UIDMap), GIDMap: idMaps(o.GIDMap),
		}
	}
	// With a size the library does not look into the image, whose account files
	// it opens whatever they are.
	return types.IDMappingOptions{AutoUserNs: true, AutoUserNsOpts: types.AutoUserNsOptions{
		Size: o.Auto.Size, AdditionalUIDMappings: idMaps(o.Auto.UIDMap), AdditionalGIDMappings: idMaps(o.Auto.GIDMap),
	}}
}

// IDMaps are the maps of a container's files; none when they are the store's.
func (s *Store) IDMaps(ctx context.Context, id string) (uids, gids []rspec.LinuxIDMapping, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if p, err := s.passingByID(ctx, id); p != nil || err != nil {
		return nil, nil, err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, nil, err
	}
	c, err := lib.Container(id)
	if err != nil {
		return nil, nil, translate("storage of", id, err)
	}
	back := func(maps []idtools.IDMap) (out []rspec.LinuxIDMapping) {
		for _, m := range maps {
			out = append(out, rspec.LinuxIDMapping{ContainerID: uint32(m.ContainerID), HostID: uint32(m.HostID), Size: uint32(m.Size)})
		}
		return out
	}
	return back(c.UIDMap), back(c.GIDMap), nil
}

// WithImage mounts an image, read-only, while work runs.
func (s *Store) WithImage(ctx context.Context, id string, work func(root string) error) error {
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	root, err := lib.MountImage(id, nil, "")
	if err != nil {
		return translate("mount image", id, err)
	}
	err = work(root)
	_, unmountErr := lib.UnmountImage(id, false)
	return errors.Join(err, translate("unmount image", id, unmountErr))
}

// Container is what the store says of a container's root file system.
type Container struct {
	ID, ImageID, LayerID string
	// Names are the container's names in the store.
	Names   []string
	Created time.Time
	// ProcessLabel and MountLabel are SELinux labels, empty without SELinux.
	ProcessLabel, MountLabel string
	// Creator is pod, or empty for another tool's container.
	Creator string
	// RunDir is the run directory of the pod that made it.
	RunDir string
}

// LayerID is the id of the layer of container id. It follows from the
// container's, so that a layer whose record was never written can be found.
func LayerID(id string) string {
	return layerMark + id[len(layerMark):]
}

// CreateContainer makes a layer and a container on the image.
func (s *Store) CreateContainer(ctx context.Context, opts ContainerOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(opts.ID) != idLength {
		return fmt.Errorf("container id %q is not %d digits", opts.ID, idLength)
	}
	if opts.Created.IsZero() {
		opts.Created = time.Now()
	}
	if s.canPass(&opts) {
		if done, err := s.createPassing(ctx, &opts); done || err != nil {
			return err
		}
	}
	var names []string
	if opts.Name != "" {
		names = []string{opts.Name}
	}
	meta := shortMark + opts.RunDir
	if done, err := s.createListed(ctx, &opts, meta); done || err != nil {
		return err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	s.notes.Do(s.dropEmptyNotes)
	_, err = lib.CreateContainer(opts.ID, names, opts.ImageID, LayerID(opts.ID), meta, &cstorage.ContainerOptions{
		IDMappingOptions: opts.mappings(),
		LabelOpts:        opts.LabelOpts,
		Volatile:         opts.Volatile,
		StorageOpt:       opts.StorageOpt,
	})
	if errors.Is(err, cstorage.ErrDuplicateName) {
		return fmt.Errorf("create storage of %s: %w: %s", opts.ID[:12], ErrNameInUse, opts.Name)
	}
	return translate("create storage of", opts.ID[:12], err)
}

func idMaps(maps []rspec.LinuxIDMapping) []idtools.IDMap {
	var out []idtools.IDMap
	for _, m := range maps {
		out = append(out, idtools.IDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)})
	}
	return out
}

func describe(c *cstorage.Container) Container {
	out := Container{
		ID: c.ID, ImageID: c.ImageID, LayerID: c.LayerID, Names: c.Names, Created: c.Created,
		ProcessLabel: c.ProcessLabel(), MountLabel: c.MountLabel(),
	}
	if dir, ok := strings.CutPrefix(c.Metadata, shortMark); ok {
		out.Creator, out.RunDir = Creator, dir
		return out
	}
	var meta metadata
	if strings.Contains(c.Metadata, `"creator"`) && json.Unmarshal([]byte(c.Metadata), &meta) == nil {
		out.Creator, out.RunDir = meta.Creator, meta.RunDir
	}
	return out
}

// Container returns what the store knows of a container, by id or name.
func (s *Store) Container(ctx context.Context, id string) (Container, error) {
	if err := ctx.Err(); err != nil {
		return Container{}, err
	}
	if p, err := s.passingByID(ctx, id); err != nil {
		return Container{}, err
	} else if p != nil {
		return p.describe(), nil
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return Container{}, err
	}
	c, err := lib.Container(id)
	if errors.Is(err, cstorage.ErrContainerUnknown) {
		all, passingErr := s.allPassing()
		for _, p := range all {
			if p.Name == id {
				return p.describe(), nil
			}
		}
		err = errors.Join(err, passingErr)
	}
	if err != nil {
		return Container{}, translate("storage of", id, err)
	}
	return describe(c), nil
}

// Containers lists the containers of the store, those of other tools too.
func (s *Store) Containers(ctx context.Context) ([]Container, error) {
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	all, err := lib.Containers()
	if err != nil {
		return nil, fmt.Errorf("list containers of the store: %w", err)
	}
	out := make([]Container, 0, len(all))
	for i := range all {
		out = append(out, describe(&all[i]))
	}
	more, err := s.allPassing()
	if err != nil {
		return nil, err
	}
	for _, p := range more {
		if !p.Adopting {
			out = append(out, p.describe())
		}
	}
	return out, nil
}

// Owned lists the ids of the containers that pod made.
func (s *Store) Owned(ctx context.Context) ([]string, error) {
	all, err := s.Containers(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range all {
		if c.Creator == Creator {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

// Rename gives a container of the store another name; an empty one takes its name
// away. The library would take the name from whoever has it, so we look first.
func (s *Store) Rename(ctx context.Context, id, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.adopt(ctx, id); err != nil {
		return err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	var names []string
	if name != "" {
		names = []string{name}
		holder, err := lib.Container(name)
		if err == nil && holder.ID != id && slices.Contains(holder.Names, name) {
			return fmt.Errorf("rename %s: %w: %s", id, ErrNameInUse, name)
		}
	}
	err = lib.SetNames(id, names)
	return translate("rename", id, err)
}

// Delete removes the container and its layer, or the layer alone when a crash
// left no more. Mounts of it are undone first. What is gone already is no error.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if done, err := s.whilePassing(ctx, id, func(p *passing) error { return s.forgetPassing(ctx, p) }); done || err != nil {
		return err
	}
	if len(id) == idLength {
		if err := s.dropEmptyNote(LayerID(id)); err != nil {
			return err
		}
	}
	if done, err := s.deleteListed(ctx, id); done || err != nil {
		return err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	s.notes.Do(s.dropEmptyNotes)
	err = lib.DeleteContainer(id)
	if err == nil && len(id) == idLength {
		return s.deletePassing(ctx, LayerID(id)) // the link that adopt has left
	}
	if !errors.Is(err, cstorage.ErrNotAContainer) && !errors.Is(err, cstorage.ErrContainerUnknown) {
		return translate("delete storage of", id, err)
	}
	if len(id) != idLength {
		return nil
	}
	return s.DeleteLayer(ctx, LayerID(id))
}

// DeleteLayer removes a layer of a container of pod's; a layer that is gone is no
// error.
func (s *Store) DeleteLayer(ctx context.Context, layer string) error {
	if !strings.HasPrefix(layer, layerMark) {
		return fmt.Errorf("layer %s was not made by pod", layer)
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	s.notes.Do(s.dropEmptyNotes)
	return errors.Join(s.deletePassing(ctx, layer), s.deleteUnlisted(layer), s.deleteLayer(lib, layer))
}

func (s *Store) deleteLayer(lib cstorage.Store, layer string) error {
	if err := s.dropEmptyNote(layer); err != nil {
		return err
	}
	err := lib.DeleteLayer(layer)
	if err == nil || errors.Is(err, cstorage.ErrLayerUnknown) || errors.Is(err, cstorage.ErrNotALayer) ||
		errors.Is(err, cstorage.ErrLayerUsedByImage) { // a commit has come to its end
		return s.dropLink(layer)
	}
	return translate("delete layer", layer, err)
}

// dropLink removes the short name of an overlay layer that is gone. The library
// notes the name in the layer's directory after it has made the link, so a kill
// in between leaves one that nobody knows.
func (s *Store) dropLink(layer string) error {
	if _, err := os.Lstat(s.layerDir(layer)); !errors.Is(err, os.ErrNotExist) {
		return nil // the layer is there, or another driver is in use
	}
	if err := s.dropShortNames(layer); err != nil {
		return fmt.Errorf("delete layer %s: %w", layer, err)
	}
	return nil
}

// OrphanLayers lists layers of pod's that belong to no container: what a kill
// between layer and record leaves, and no other call removes. keep, if not nil,
// spares layers by id (see LayerID). The order of the two reads matters: the
// library holds the layers' lock until the record is written, so a layer seen
// here has its record by now, or never will.
func (s *Store) OrphanLayers(ctx context.Context, keep func(layer string) bool) ([]string, error) {
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	layers, err := lib.Layers()
	if err != nil {
		return nil, fmt.Errorf("list layers: %w", err)
	}
	var marked []string
	parents := map[string]bool{}
	for i := range layers {
		parents[layers[i].Parent] = true
		if strings.HasPrefix(layers[i].ID, layerMark) && !layers[i].ReadOnly {
			marked = append(marked, layers[i].ID)
		}
	}
	orphans, err := s.orphanPassing()
	if err != nil {
		return nil, err
	}
	orphans = slices.DeleteFunc(orphans, func(id string) bool { return keep != nil && keep(id) })
	if len(marked) == 0 {
		return orphans, nil
	}
	used, err := usedLayers(lib)
	if err != nil {
		return nil, err
	}
	for _, id := range marked {
		if !used[id] && !parents[id] && (keep == nil || !keep(id)) {
			orphans = append(orphans, id)
		}
	}
	return orphans, nil
}

// DeleteUnused deletes a layer, if it is there and nothing is on it.
func (s *Store) DeleteUnused(ctx context.Context, layer string) error {
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	if _, err := lib.Layer(layer); errors.Is(err, cstorage.ErrLayerUnknown) {
		return nil
	}
	used, err := usedLayers(lib)
	if err != nil || used[layer] {
		return err
	}
	layers, err := lib.Layers()
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	for i := range layers {
		if layers[i].Parent == layer {
			return nil
		}
	}
	return s.deleteLayer(lib, layer)
}

// DropTemporary removes the files in which a killed process was writing a list of
// the store. One may be written now, so only old ones are taken.
func (s *Store) DropTemporary(ctx context.Context, age time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	driver := s.conf.GraphDriverName
	errs := []error{s.dropPassing()}
	for _, dir := range []string{
		filepath.Join(s.conf.GraphRoot, driver+"-layers"), filepath.Join(s.conf.GraphRoot, driver+"-images"),
		filepath.Join(s.conf.GraphRoot, driver+"-containers"), filepath.Join(s.conf.RunRoot, driver+"-layers"),
	} {
		files, err := filepath.Glob(filepath.Join(dir, ".tmp-*.json*"))
		errs = append(errs, err)
		for _, file := range files {
			info, err := os.Lstat(file)
			if err != nil || time.Since(info.ModTime()) < age {
				continue
			}
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// usedLayers are the top layers of all containers and images.
func usedLayers(lib cstorage.Store) (map[string]bool, error) {
	containers, err := lib.Containers()
	if err != nil {
		return nil, fmt.Errorf("list containers of the store: %w", err)
	}
	images, err := lib.Images()
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	used := make(map[string]bool, len(containers)+len(images))
	for i := range containers {
		used[containers[i].LayerID] = true
	}
	for i := range images {
		used[images[i].TopLayer] = true
		for _, layer := range images[i].MappedTopLayers {
			used[layer] = true
		}
	}
	return used, nil
}

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
	"github.com/opencontainers/selinux/go-selinux"
	cstorage "go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
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
	ImageID   string
	ImageName string
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
	// StorageOpt are per-container driver options (size, inodes).
	StorageOpt map[string]string
}

// AutoMaps ask for a user namespace of Size ids that are in no other container's;
// UIDMap and GIDMap are part of it.
type AutoMaps struct {
	Size           uint32
	UIDMap, GIDMap []rspec.LinuxIDMapping
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
	c, err := s.store.Container(id)
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
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := s.store.MountImage(id, nil, "")
	if err != nil {
		return translate("mount image", id, err)
	}
	err = work(root)
	_, unmountErr := s.store.UnmountImage(id, false)
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

// metadata is podman's, with our mark.
type metadata struct {
	ImageName  string `json:"image-name"`
	ImageID    string `json:"image-id"`
	Name       string `json:"name"`
	CreatedAt  int64  `json:"created-at"`
	MountLabel string `json:"mountlabel,omitempty"`
	Creator    string `json:"creator,omitempty"`
	RunDir     string `json:"pod-run-dir,omitempty"`
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
	meta := metadata{
		ImageName: opts.ImageName, ImageID: opts.ImageID, Name: opts.Name, CreatedAt: opts.Created.Unix(), Creator: Creator,
		RunDir: opts.RunDir,
	}
	var names []string
	if opts.Name != "" {
		names = []string{opts.Name}
	}
	raw, err := json.Marshal(meta)
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	_, err = s.store.CreateContainer(opts.ID, names, opts.ImageID, LayerID(opts.ID), string(raw), &cstorage.ContainerOptions{
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
	c, err := s.store.Container(id)
	if err != nil {
		return Container{}, translate("storage of", id, err)
	}
	return describe(c), nil
}

// Containers lists the containers of the store, those of other tools too.
func (s *Store) Containers(ctx context.Context) ([]Container, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all, err := s.store.Containers()
	if err != nil {
		return nil, fmt.Errorf("list containers of the store: %w", err)
	}
	out := make([]Container, 0, len(all))
	for i := range all {
		out = append(out, describe(&all[i]))
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
	var names []string
	if name != "" {
		names = []string{name}
		holder, err := s.store.Container(name)
		if err == nil && holder.ID != id && slices.Contains(holder.Names, name) {
			return fmt.Errorf("rename %s: %w: %s", id, ErrNameInUse, name)
		}
	}
	err := s.store.SetNames(id, names)
	return translate("rename", id, err)
}

// Delete removes the container and its layer, or the layer alone when a crash
// left no more. Mounts of it are undone first. What is gone already is no error.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.store.DeleteContainer(id)
	if err == nil {
		return nil
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
	if err := ctx.Err(); err != nil {
		return err
	}
	if !strings.HasPrefix(layer, layerMark) {
		return fmt.Errorf("layer %s was not made by pod", layer)
	}
	return s.deleteLayer(layer)
}

func (s *Store) deleteLayer(layer string) error {
	err := s.store.DeleteLayer(layer)
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
	links := filepath.Join(s.store.GraphRoot(), "overlay", "l")
	if _, err := os.Lstat(filepath.Join(filepath.Dir(links), layer)); !errors.Is(err, os.ErrNotExist) {
		return nil // the layer is there, or another driver is in use
	}
	entries, err := os.ReadDir(links)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete layer %s: %w", layer, err)
	}
	for _, e := range entries {
		link := filepath.Join(links, e.Name())
		if target, err := os.Readlink(link); err == nil && target == filepath.Join("..", layer, "diff") {
			if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("delete layer %s: %w", layer, err)
			}
		}
	}
	return nil
}

// OrphanLayers lists layers of pod's that belong to no container: what a kill
// between layer and record leaves, and no other call removes. keep, if not nil,
// spares layers by id (see LayerID). The order of the two reads matters: the
// library holds the layers' lock until the record is written, so a layer seen
// here has its record by now, or never will.
func (s *Store) OrphanLayers(ctx context.Context, keep func(layer string) bool) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	layers, err := s.store.Layers()
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
	if len(marked) == 0 {
		return nil, nil
	}
	used, err := s.usedLayers()
	if err != nil {
		return nil, err
	}
	var orphans []string
	for _, id := range marked {
		if !used[id] && !parents[id] && (keep == nil || !keep(id)) {
			orphans = append(orphans, id)
		}
	}
	return orphans, nil
}

// DeleteUnused deletes a layer, if it is there and nothing is on it.
func (s *Store) DeleteUnused(ctx context.Context, layer string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := s.store.Layer(layer); errors.Is(err, cstorage.ErrLayerUnknown) {
		return nil
	}
	used, err := s.usedLayers()
	if err != nil || used[layer] {
		return err
	}
	layers, err := s.store.Layers()
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	for i := range layers {
		if layers[i].Parent == layer {
			return nil
		}
	}
	return s.deleteLayer(layer)
}

// DropTemporary removes the files in which a killed process was writing a list of
// the store. One may be written now, so only old ones are taken.
func (s *Store) DropTemporary(ctx context.Context, age time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	driver := s.store.GraphDriverName()
	var errs []error
	for _, dir := range []string{
		filepath.Join(s.store.GraphRoot(), driver+"-layers"), filepath.Join(s.store.GraphRoot(), driver+"-images"),
		filepath.Join(s.store.GraphRoot(), driver+"-containers"), filepath.Join(s.store.RunRoot(), driver+"-layers"),
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
func (s *Store) usedLayers() (map[string]bool, error) {
	containers, err := s.store.Containers()
	if err != nil {
		return nil, fmt.Errorf("list containers of the store: %w", err)
	}
	images, err := s.store.Images()
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

// Mount mounts the container's root file system and returns where. Mounts are
// counted; each needs its Unmount.
func (s *Store) Mount(ctx context.Context, id string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	label := ""
	if selinux.GetEnabled() {
		c, err := s.store.Container(id)
		if err != nil {
			return "", translate("mount", id, err)
		}
		label = c.MountLabel()
	}
	path, err := s.store.Mount(id, label)
	if errors.Is(err, cstorage.ErrLayerUnknown) {
		err = cstorage.ErrContainerUnknown
	}
	return path, translate("mount", id, err)
}

// Unmount takes back one Mount, or with force all of them. It says whether the
// file system is still mounted. What is not mounted is no error.
func (s *Store) Unmount(ctx context.Context, id string, force bool) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	still, err := s.store.Unmount(id, force)
	if errors.Is(err, cstorage.ErrLayerNotMounted) || errors.Is(err, cstorage.ErrLayerUnknown) {
		return false, nil
	}
	return still, translate("unmount", id, err)
}

// Mounted counts the mounts of a container's root file system.
func (s *Store) Mounted(ctx context.Context, id string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	count, err := s.store.Mounted(id)
	if errors.Is(err, cstorage.ErrLayerUnknown) {
		err = cstorage.ErrContainerUnknown
	}
	return count, translate("mounts of", id, err)
}

// MountPoint is where a container's root file system is mounted; empty if it is
// not.
func (s *Store) MountPoint(ctx context.Context, id string) (string, error) {
	c, err := s.Container(ctx, id)
	if err != nil {
		return "", err
	}
	layer, err := s.store.Layer(c.LayerID)
	if err != nil {
		return "", translate("mount of", id, err)
	}
	if layer.MountCount == 0 {
		return "", nil
	}
	return layer.MountPoint, nil
}

// ContainerDir is where files of the container that last are kept.
func (s *Store) ContainerDir(id string) string {
	return filepath.Join(s.store.GraphRoot(), s.store.GraphDriverName()+"-containers", id, "userdata")
}

// RunDir is where files of the container that end with the boot are kept.
func (s *Store) RunDir(id string) string {
	return filepath.Join(s.store.RunRoot(), s.store.GraphDriverName()+"-containers", id, "userdata")
}

// Size is what the container has written over its image, in bytes.
func (s *Store) Size(ctx context.Context, id string) (int64, error) {
	c, err := s.Container(ctx, id)
	if err != nil {
		return 0, err
	}
	size, err := s.store.DiffSize("", c.LayerID)
	return size, translate("size of", id, err)
}

// Changes lists what the container has changed over its image.
func (s *Store) Changes(ctx context.Context, id string) ([]archive.Change, error) {
	c, err := s.Container(ctx, id)
	if err != nil {
		return nil, err
	}
	changes, err := s.store.Changes("", c.LayerID)
	return changes, translate("changes of", id, err)
}

// DiffPath is the directory that holds what the container has written, where
// the driver has one; the root file system itself with vfs.
func (s *Store) DiffPath(ctx context.Context, id string) (string, error) {
	c, err := s.Container(ctx, id)
	if err != nil {
		return "", err
	}
	driver, err := s.store.GraphDriver()
	if err != nil {
		return "", fmt.Errorf("driver of the store: %w", err)
	}
	data, err := driver.Metadata(c.LayerID)
	if err != nil {
		return "", translate("layer of", id, err)
	}
	for _, key := range []string{"UpperDir", "MergedDir"} {
		if data[key] != "" {
			return data[key], nil
		}
	}
	return filepath.Join(s.store.GraphRoot(), "vfs", "dir", c.LayerID), nil
}

// DriverData is what inspect shows of the driver: its paths for a container.
func (s *Store) DriverData(ctx context.Context, id string) (map[string]string, error) {
	c, err := s.Container(ctx, id)
	if err != nil {
		return nil, err
	}
	driver, err := s.store.GraphDriver()
	if err != nil {
		return nil, fmt.Errorf("driver of the store: %w", err)
	}
	data, err := driver.Metadata(c.LayerID)
	if err != nil {
		return nil, translate("layer of", id, err)
	}
	if count, err := s.store.Mounted(c.LayerID); err != nil || count == 0 {
		delete(data, "MergedDir")
	}
	return data, nil
}

// ImageSizes returns the size of every image, layers shared by several counted
// for each.
func (s *Store) ImageSizes(ctx context.Context) (map[string]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all, err := s.store.MultiList(cstorage.MultiListOptions{Images: true, Layers: true})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	layers := make(map[string]*cstorage.Layer, len(all.Layers))
	for i := range all.Layers {
		layers[all.Layers[i].ID] = &all.Layers[i]
	}
	sizes := make(map[string]int64, len(all.Images))
	for i := range all.Images {
		var total int64
		for _, n := range all.Images[i].BigDataSizes {
			total += n
		}
		for layer := layers[all.Images[i].TopLayer]; layer != nil; layer = layers[layer.Parent] {
			total += layer.UncompressedSize
		}
		sizes[all.Images[i].ID] = total
	}
	return sizes, nil
}

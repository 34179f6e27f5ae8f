package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	cstorage "go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/storage/ownercopy"
)

// mappedFlag marks the layers that MapImage made; its value is the layer that a
// copy was made of.
const mappedFlag = "pod.mapped"

// MapOptions say for whom the layers of an image are to be.
type MapOptions struct {
	ImageID string
	// UIDMap and GIDMap are the container's.
	UIDMap, GIDMap []rspec.LinuxIDMapping
	// Progress is told how a copy goes on, by several threads.
	Progress func(MapProgress)
}

// MapProgress is how far a copy is.
type MapProgress struct {
	// Layer of Layers is being copied.
	Layer, Layers int
	// Files are those that were copied, in all layers.
	Files int64
	// Waiting: another process copies the layer.
	Waiting bool
}

// mapping is one MapImage.
type mapping struct {
	MapOptions

	store      *Store
	lib        cstorage.Store
	image      *cstorage.Image
	uids, gids []idtools.IDMap
	// layers are those of the image, the lowest first.
	layers []*cstorage.Layer
	files  int64
}

// MapImage makes copies of an image's layers whose files belong to the ids of a
// user namespace, unless the kernel can show them so, or there are such copies.
// The library would copy all layers into one and hold the lock of the store
// meanwhile. Here each layer is copied by itself outside all locks and belongs to
// all images that have the layer; what the store gets in the end is what the
// library would have made, so that other tools find it, use it and remove it with
// the image. What MapImage cannot do the library does, when the container is made.
func (s *Store) MapImage(ctx context.Context, opts MapOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &mapping{MapOptions: opts, store: s, uids: idMaps(opts.UIDMap), gids: idMaps(opts.GIDMap)}
	needed, err := m.needed()
	if err != nil || !needed {
		return err
	}
	bringing, err := s.Bring()
	if err != nil {
		return err
	}
	err = step.Do(ctx, "storage.map", func() error { return m.run(ctx) })
	return errors.Join(err, bringing.End())
}

// needed says whether there is something to do that can be done here, and finds
// the layers.
func (m *mapping) needed() (bool, error) {
	s := m.store
	if m.ImageID == "" || len(m.uids) == 0 || s.conf.GraphDriverName != "overlay" || s.conf.ImageStore != "" {
		return false, nil
	}
	lib, err := s.opened()
	if err != nil {
		return false, err
	}
	m.lib = lib
	shifts, err := s.shifts(m.uids, m.gids)
	if err != nil || shifts {
		return false, err
	}
	if m.image, err = lib.Image(m.ImageID); err != nil {
		return false, translate("layers of", m.ImageID, err)
	}
	if m.image.ReadOnly || m.image.TopLayer == "" {
		return false, nil
	}
	suspect, err := s.suspects()
	if err != nil {
		return false, err
	}
	for _, id := range append([]string{m.image.TopLayer}, m.image.MappedTopLayers...) {
		layer, err := lib.Layer(id)
		if err == nil && slices.Equal(layer.UIDMap, m.uids) && slices.Equal(layer.GIDMap, m.gids) && len(suspect) == 0 {
			return false, nil
		}
	}
	for id := m.image.TopLayer; id != ""; {
		layer, err := lib.Layer(id)
		if err != nil {
			return false, translate("layers of", m.ImageID, err)
		}
		_, err = os.Lstat(filepath.Join(s.layerDir(id), "composefs-data"))
		if layer.ReadOnly || len(layer.UIDMap)+len(layer.GIDMap) > 0 || err == nil {
			return false, nil
		}
		m.layers = append(m.layers, layer)
		id = layer.Parent
	}
	slices.Reverse(m.layers)
	return true, nil
}

func (s *Store) layerDir(id string) string {
	return filepath.Join(s.conf.GraphRoot, "overlay", id)
}

// run makes what is missing, from the lowest layer up.
func (m *mapping) run(ctx context.Context) error {
	if err := m.store.settleMapped(ctx, m.lib); err != nil {
		return err
	}
	parent := ""
	for i, layer := range m.layers {
		owner := ""
		if i == len(m.layers)-1 {
			// The library removes it with the image, whoever else uses it.
			owner = m.ImageID
		}
		id, err := m.id(layer.ID, owner)
		if err != nil {
			return err
		}
		if err := m.make(ctx, i, id, parent); err != nil {
			return fmt.Errorf("give the files of image %.12s other owners: %w", m.ImageID, noSpace(err))
		}
		parent = id
	}
	return step.Do(ctx, "storage.map.image", func() error { return m.store.addMappedTop(m.ImageID, parent) })
}

// id follows from what is in a copy, so that it is found by whoever needs it.
func (m *mapping) id(layer, image string) (string, error) {
	data, err := json.Marshal([]any{"pod mapped layer", layer, image, m.uids, m.gids})
	if err != nil {
		return "", fmt.Errorf("name a layer: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// make makes the copy of one layer, unless it is there. Others that want it wait
// for its lock, which nobody else needs.
func (m *mapping) make(ctx context.Context, i int, id, parent string) error {
	place, err := m.store.mappingPlace(id)
	if err != nil {
		return err
	}
	err = place.lock(ctx, func() { m.tell(MapProgress{Layer: i + 1, Layers: len(m.layers), Waiting: true}) })
	if err != nil {
		return err
	}
	defer place.unlock()
	if _, err := m.lib.Layer(id); err == nil {
		return place.clearTree()
	}
	if err := place.clear(); err != nil {
		return err
	}
	staged, err := m.stage(ctx, i, place)
	if err == nil {
		err = m.copyTarSplit(m.layers[i].ID, id)
	}
	if err == nil {
		err = step.Do(ctx, "storage.map.layer", func() error { return m.put(m.layers[i], id, parent, staged) })
	}
	if err != nil {
		return errors.Join(err, place.clear())
	}
	return place.clearTree()
}

func (m *mapping) tell(p MapProgress) {
	if m.Progress != nil {
		m.Progress(p)
	}
}

// stage copies a layer into a directory that the driver makes, which it can rename
// to where the layer's files belong.
func (m *mapping) stage(ctx context.Context, i int, place *mappingPlace) (*graphdriver.DriverWithDifferOutput, error) {
	dir := ""
	staged, err := m.lib.PrepareStagedLayer(&graphdriver.ApplyDiffWithDifferOpts{}, filler(func(tree string) error {
		dir = filepath.Dir(tree)
		if err := place.note(m.layers[i].ID, dir); err != nil {
			return err
		}
		return step.Do(ctx, "storage.map.copy", func() error { return m.copy(ctx, i, tree) })
	}))
	if err != nil && dir != "" {
		err = errors.Join(err, os.RemoveAll(dir)) // a full disk may have kept the note
	}
	return staged, err
}

// filler is what the library calls a differ: it fills a staging directory.
type filler func(tree string) error

// ApplyDiff fills the directory.
func (f filler) ApplyDiff(tree string, _ *archive.TarOptions, _ *graphdriver.DifferOptions) (graphdriver.DriverWithDifferOutput, error) {
	return graphdriver.DriverWithDifferOutput{}, f(tree)
}

// Close is the library's.
func (f filler) Close() error { return nil }

// copy copies the files of a layer.
func (m *mapping) copy(ctx context.Context, i int, tree string) error {
	layer := m.layers[i]
	if like := m.like(layer.ID); like != "" {
		_, err := ownercopy.Tree(ctx, filepath.Join(m.store.layerDir(like), "diff"), tree, ownercopy.Options{Link: true})
		if err == nil {
			return nil
		}
		// It was removed meanwhile, or a file has all the names it can.
		if err := errors.Join(os.RemoveAll(tree), os.Mkdir(tree, 0o700)); err != nil {
			return err
		}
	}
	done, err := ownercopy.Tree(ctx, filepath.Join(m.store.layerDir(layer.ID), "diff"), tree, ownercopy.Options{
		Owner: m.owner,
		Progress: func(files int64) {
			m.tell(MapProgress{Layer: i + 1, Layers: len(m.layers), Files: m.files + files})
		},
	})
	m.files += done.Files
	return err
}

// put makes the layer in the store: a record, and a rename.
func (m *mapping) put(layer *cstorage.Layer, id, parent string, staged *graphdriver.DriverWithDifferOutput) error {
	info, err := os.Stat(staged.Target)
	if err != nil {
		return err
	}
	mode := info.Mode()
	_, err = m.lib.ApplyStagedLayer(cstorage.ApplyStagedLayerOptions{
		ID: id, ParentLayer: parent, MountLabel: layer.MountLabel,
		LayerOptions: &cstorage.LayerOptions{
			IDMappingOptions: cstorage.LayerIDMappingOptions{UIDMap: m.uids, GIDMap: m.gids},
			Flags:            map[string]any{BroughtFlag: true, mappedFlag: layer.ID},
		},
		DiffOutput: &graphdriver.DriverWithDifferOutput{
			Target: staged.Target, Size: layer.UncompressedSize, UIDs: layer.UIDs, GIDs: layer.GIDs, Metadata: layer.Metadata,
			UncompressedDigest: layer.UncompressedDigest, CompressedDigest: layer.CompressedDigest, TOCDigest: layer.TOCDigest,
			RootDirMode: &mode,
		},
		DiffOptions: &graphdriver.ApplyDiffWithDifferOpts{},
	})
	if errors.Is(err, cstorage.ErrDuplicateID) {
		return nil
	}
	return err
}

// owner is the id that the kernel would show: that of the container's user
// namespace, or nobody for those that have none in it, as the library does it.
func (m *mapping) owner(uid, gid uint32) (newUID, newGID uint32) {
	return mapID(m.uids, uid), mapID(m.gids, gid)
}

// overflowID is nobody, which owns what has no owner.
const overflowID = 65534

func mapID(maps []idtools.IDMap, id uint32) uint32 {
	for _, r := range maps {
		if int(id) >= r.ContainerID && int(id)-r.ContainerID < r.Size {
			return uint32(r.HostID + int(id) - r.ContainerID)
		}
	}
	return overflowID
}

// like is another image's copy of the same layer for the same ids: its files can
// have one name more.
func (m *mapping) like(layer string) string {
	all, err := m.lib.Layers()
	if err != nil {
		return ""
	}
	for i := range all {
		if all[i].Flags[mappedFlag] == layer && slices.Equal(all[i].UIDMap, m.uids) && slices.Equal(all[i].GIDMap, m.gids) {
			return all[i].ID
		}
	}
	return ""
}

// copyTarSplit copies what the library needs to make the layer's archive again,
// digest by digest.
func (m *mapping) copyTarSplit(from, to string) error {
	dir := filepath.Join(m.store.conf.GraphRoot, "overlay-layers")
	in, err := os.Open(filepath.Join(dir, from+".tar-split.gz"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(dir, to+".tar-split.gz"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

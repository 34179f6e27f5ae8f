package store

import (
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// settled is how old a file has to be for its stamp to tell it from all later
// ones: longer than a tick of the kernel's clock for files.
const settled = 20 * time.Millisecond

// stamp tells the versions of a file that is replaced at each change. The zero
// stamp is none.
type stamp struct {
	inode             uint64
	size              int64
	modified, changed unix.Timespec
}

// stampOf returns none for a file that cannot be told from the next version.
func stampOf(path string, now time.Time) stamp {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || now.Sub(time.Unix(st.Ctim.Unix())) < settled {
		return stamp{}
	}
	return stamp{inode: st.Ino, size: st.Size, modified: st.Mtim, changed: st.Ctim}
}

// memo keeps what was read of images and their layers as long as the records of
// the store do not change. The library asks its lock files at each question, and
// looking for a cached step asks hundreds; here a question costs one stat. A record
// that is just being replaced counts as it was before.
type memo struct {
	store                storage.Store
	imageFile, layerFile string
	now                  func() time.Time

	mu         sync.Mutex
	imageStamp stamp
	images     []storage.Image
	byID       map[string]*storage.Image
	byName     map[string]*storage.Image
	data       map[[2]string][]byte
	layerStamp stamp
	layers     map[string]*storage.Layer
	byDiff     map[digest.Digest][]*storage.Layer
}

// newMemo returns nil if the records are in more places than one.
func newMemo(s storage.Store) *memo {
	driver, err := s.GraphDriver()
	if err != nil || s.ImageStore() != "" || len(driver.AdditionalImageStores()) > 0 {
		return nil
	}
	base := filepath.Join(s.GraphRoot(), s.GraphDriverName())
	return &memo{store: s, imageFile: base + "-images/images.json", layerFile: base + "-layers/layers.json", now: time.Now}
}

// freshImages reads the records of images if they have changed. The caller holds
// the lock.
func (m *memo) freshImages() error {
	now := stampOf(m.imageFile, m.now())
	if now == m.imageStamp && now != (stamp{}) {
		return nil
	}
	images, err := m.store.Images()
	if err != nil {
		return err //nolint:wrapcheck // as the library would have it
	}
	m.imageStamp, m.images = now, images
	m.byID, m.data = make(map[string]*storage.Image, len(images)), map[[2]string][]byte{}
	m.byName = map[string]*storage.Image{}
	for i := range images {
		m.byID[images[i].ID] = &images[i]
		for _, name := range images[i].Names {
			m.byName[name] = &images[i]
		}
	}
	return nil
}

// list returns all images.
func (m *memo) list() ([]storage.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.freshImages(); err != nil {
		return nil, err
	}
	return slices.Clone(m.images), nil
}

// get returns an image by its whole id or a name; nil if the store has to be asked.
func (m *memo) get(id string) *storage.Image {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.freshImages() != nil {
		return nil
	}
	found := m.byID[id]
	if found == nil {
		found = m.byName[id]
	}
	if found == nil {
		return nil
	}
	img := *found
	img.Names, img.BigDataNames = slices.Clone(img.Names), slices.Clone(img.BigDataNames)
	return &img
}

// bigData returns a piece of an image's data.
func (m *memo) bigData(id, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.freshImages(); err != nil {
		return nil, err
	}
	if data, ok := m.data[[2]string{id, key}]; ok {
		return slices.Clone(data), nil
	}
	data, err := m.store.ImageBigData(id, key)
	if err == nil && m.byID[id] != nil {
		m.data[[2]string{id, key}] = slices.Clone(data)
	}
	return data, err //nolint:wrapcheck // as the library has it
}

// freshLayers reads the records of layers if they have changed, and says whether they
// can be told from the next version. The caller holds the lock.
func (m *memo) freshLayers() bool {
	now := stampOf(m.layerFile, m.now())
	if now == m.layerStamp && now != (stamp{}) {
		return true
	}
	m.layerStamp, m.layers, m.byDiff = stamp{}, nil, nil
	if now == (stamp{}) {
		return false
	}
	layers, err := m.store.Layers()
	if err != nil {
		return false
	}
	m.layerStamp, m.layers = now, make(map[string]*storage.Layer, len(layers))
	m.byDiff = map[digest.Digest][]*storage.Layer{}
	for i := range layers {
		layer := &layers[i]
		m.layers[layer.ID] = layer
		if layer.UncompressedDigest != "" {
			m.byDiff[layer.UncompressedDigest] = append(m.byDiff[layer.UncompressedDigest], layer)
		}
	}
	return true
}

// getLayer returns a layer by its id; nil if the store has to be asked.
func (m *memo) getLayer(id string) *storage.Layer {
	m.mu.Lock()
	defer m.mu.Unlock()
	// What is mounted is on record elsewhere.
	if !m.freshLayers() || m.layers[id] == nil || m.layers[id].MountCount > 0 {
		return nil
	}
	layer := copied(m.layers[id])
	return &layer
}

// layersOf returns the layers whose content has the digest, and whether the store need
// not be asked.
func (m *memo) layersOf(d digest.Digest) (layers []storage.Layer, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.freshLayers() {
		return nil, false
	}
	for _, layer := range m.byDiff[d] {
		if layer.MountCount > 0 {
			return nil, false
		}
		layers = append(layers, copied(layer))
	}
	return layers, true
}

func copied(l *storage.Layer) storage.Layer {
	layer := *l
	layer.Names, layer.Flags = slices.Clone(layer.Names), maps.Clone(layer.Flags)
	return layer
}

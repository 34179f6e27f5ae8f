// Package store is the store of layers as a build sees it. It makes two things
// cheaper that a build does for every step, and changes nothing of what is kept:
//
//   - Layers of images are written durably, working containers are not: nobody
//     looks for those after a power loss. The library can only do both or none.
//   - A working container is made when something happens in it. buildah makes
//     and mounts one for each step, also when a cache holds the step and the
//     container is never looked into.
//
// What buildah does with a working container, and what a layer is, is not known
// here.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/selinux/go-selinux"
	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/stringid"

	"github.com/rootless-pod/pod/internal/reserve"
)

// Options say what a build will do.
type Options struct {
	// Lazy makes working containers when they are used. It is only right when
	// all use of a container's files is announced by a call of Mount, beside the
	// one that follows its making.
	Lazy bool
	// Shared says that the files of one container may be read on behalf of
	// another; a use of one then counts as use of all.
	Shared bool
	// Scratch is a directory for what belongs to containers that are not made.
	Scratch string
	// Vet may refuse the files of a container that has been mounted; nil takes all.
	Vet func(root string) error
	// Begin is asked before a container, an image or a layer is made, or one mounted;
	// it may refuse. Made is told of each container, also if it is only planned, and
	// Dropping before one is removed, by the goroutine that does it. They may be nil.
	Begin          func() error
	Made, Dropping func(id string)
	// Step runs what changes the store under a name (internal/step); nil just
	// runs it.
	Step func(name string, f func() error) error
}

// Store is a store for one build. It is safe for concurrent use, as the
// library's are.
type Store struct {
	// Store is the one whose layers are not made durable; images are the same in
	// both.
	storage.Store

	durable storage.Store
	opts    Options
	memo    *memo // nil: every question goes to the library

	mu sync.Mutex
	// planned are containers that are not made yet, by their id. Their layers
	// have the same id.
	planned map[string]*planned
	// taken are the names of this build's containers and their ids. Stages that
	// look for a free name at the same time find the same one; the library tells
	// them when they make the container, so this has to, too.
	taken map[string]string
}

// planned is a container that is not made yet.
type planned struct {
	record  storage.Container
	options storage.ContainerOptions
	parent  string // the top layer of its image
	dir     string
	mounts  int
}

// New returns a store for a build on two views of the same store: plain leaves
// layers to the kernel, durable writes them to disk before they are recorded, and
// may check images.
func New(plain, durable storage.Store, opts Options) *Store {
	if plain.GraphDriverName() != "overlay" || selinux.GetEnabled() || len(plain.UIDMap())+len(plain.GIDMap()) > 0 {
		opts.Lazy = false
	}
	if opts.Step == nil {
		opts.Step = func(_ string, f func() error) error { return f() }
	}
	if opts.Begin == nil {
		opts.Begin = func() error { return nil }
	}
	for _, f := range []*func(string){&opts.Made, &opts.Dropping} {
		if *f == nil {
			*f = func(string) {}
		}
	}
	return &Store{Store: plain, durable: durable, opts: opts, memo: newMemo(plain), planned: map[string]*planned{}, taken: map[string]string{}}
}

// PutLayer makes a layer of an image, durably.
func (s *Store) PutLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions, diff io.Reader) (layer *storage.Layer, size int64, err error) { //nolint:revive // the library's signature
	if err := s.opts.Begin(); err != nil {
		return nil, 0, err
	}
	err = s.opts.Step("layer.put", func() (err error) {
		layer, size, err = s.durable.PutLayer(id, parent, names, mountLabel, writeable, options, diff)
		return err
	})
	return layer, size, err
}

// CreateImage makes an image: the durable view may refuse it.
func (s *Store) CreateImage(id string, names []string, layer, metadata string, options *storage.ImageOptions) (*storage.Image, error) {
	if err := s.opts.Begin(); err != nil {
		return nil, err
	}
	return s.durable.CreateImage(id, names, layer, metadata, options)
}

// CreateLayer makes an empty layer, durably.
func (s *Store) CreateLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions) (*storage.Layer, error) { //nolint:revive // the library's signature
	if err := s.opts.Begin(); err != nil {
		return nil, err
	}
	return s.durable.CreateLayer(id, parent, names, mountLabel, writeable, options)
}

// PrepareStagedLayer fills a staging directory, which is known only to the store
// that has made it.
func (s *Store) PrepareStagedLayer(options *graphdriver.ApplyDiffWithDifferOpts, differ graphdriver.Differ) (*graphdriver.DriverWithDifferOutput, error) {
	return s.durable.PrepareStagedLayer(options, differ)
}

// ApplyStagedLayer makes a layer of a staging directory, durably.
func (s *Store) ApplyStagedLayer(args storage.ApplyStagedLayerOptions) (*storage.Layer, error) {
	return s.durable.ApplyStagedLayer(args)
}

// CleanupStagedLayer removes a staging directory.
func (s *Store) CleanupStagedLayer(output *graphdriver.DriverWithDifferOutput) error {
	return s.durable.CleanupStagedLayer(output)
}

// CreateContainer makes a working container, or plans to.
func (s *Store) CreateContainer(id string, names []string, image, layer, metadata string, options *storage.ContainerOptions) (*storage.Container, error) { //nolint:revive // the library's signature
	if err := s.opts.Begin(); err != nil {
		return nil, err
	}
	if err := s.take(names); err != nil {
		return nil, err
	}
	var c *storage.Container
	var err error
	if s.opts.Lazy && id+layer+metadata == "" && image != "" && options != nil && plain(options) {
		c, err = s.plan(names, image, options)
	}
	if err == nil && c == nil {
		c, err = s.Store.CreateContainer(id, names, image, layer, metadata, options)
	}
	if err == nil {
		s.opts.Made(c.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if err != nil {
			delete(s.taken, name)
		} else {
			s.taken[name] = c.ID
		}
	}
	return c, err
}

// take reserves names.
func (s *Store) take(names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if _, taken := s.taken[name]; taken {
			return fmt.Errorf("name %s: %w", name, storage.ErrDuplicateName)
		}
	}
	for _, name := range names {
		s.taken[name] = ""
	}
	return nil
}

// plan plans a container; it returns nil for one that must be made at once.
func (s *Store) plan(names []string, image string, options *storage.ContainerOptions) (*storage.Container, error) {
	img, err := s.Image(image)
	if err != nil {
		return nil, fmt.Errorf("find image %s: %w", image, err)
	}
	if !s.bare(img) {
		return nil, nil
	}
	if img.TopLayer != "" {
		top, err := s.Layer(img.TopLayer)
		if err != nil {
			return nil, fmt.Errorf("find layer %s: %w", img.TopLayer, err)
		}
		if len(top.UIDMap)+len(top.GIDMap) > 0 {
			return nil, nil
		}
	}
	id := stringid.GenerateRandomID()
	p := &planned{
		options: *options, parent: img.TopLayer, dir: filepath.Join(s.opts.Scratch, id),
		record: storage.Container{
			ID: id, Names: slices.Clone(names), ImageID: img.ID, LayerID: id, Created: time.Now().UTC(),
			Flags: map[string]any{"ProcessLabel": "", "MountLabel": ""},
		},
	}
	maps.Copy(p.record.Flags, options.Flags)
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return nil, fmt.Errorf("plan a working container: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.planned[id] = p
	return p.container(), nil
}

// plain says whether nothing about a container depends on the image's layers or
// on other containers.
func plain(o *storage.ContainerOptions) bool {
	ids := o.IDMappingOptions
	return !ids.AutoUserNs && len(ids.UIDMap)+len(ids.GIDMap)+len(o.LabelOpts)+len(o.StorageOpt)+len(o.MountOpts)+len(o.BigData) == 0
}

// bare says whether an image is known to declare no volumes, now or by ONBUILD:
// buildah looks after them in the mounted container without a word to the store.
func (s *Store) bare(img *storage.Image) bool {
	found := false
	for _, name := range img.BigDataNames {
		if digest.Digest(name).Validate() != nil {
			continue
		}
		data, err := s.ImageBigData(img.ID, name)
		if err != nil {
			return false
		}
		var config struct {
			Config *struct {
				Volumes map[string]struct{}
				OnBuild []string
			} `json:"config"`
		}
		if json.Unmarshal(data, &config) != nil {
			return false
		}
		if c := config.Config; c != nil && len(c.Volumes)+len(c.OnBuild) > 0 {
			return false
		}
		found = true
	}
	return found
}

func (p *planned) container() *storage.Container {
	c := p.record
	c.Names, c.Flags = slices.Clone(c.Names), maps.Clone(c.Flags)
	return &c
}

// find returns a planned container by its id, its layer's, or one of its names.
// The caller holds the lock.
func (s *Store) find(name string) *planned {
	if p := s.planned[name]; p != nil {
		return p
	}
	for _, p := range s.planned {
		if slices.Contains(p.record.Names, name) {
			return p
		}
	}
	return nil
}

// realize makes what name stands for, if it is a planned container, and with it
// others whose files may be read on its behalf.
func (s *Store) realize(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opts.Shared {
		if p := s.find(name); p != nil {
			return s.realizeOne(p)
		}
		return nil
	}
	var errs []error
	for _, p := range s.planned {
		errs = append(errs, s.realizeOne(p))
	}
	return errors.Join(errs...)
}

// realizeOne makes a planned container. The caller holds the lock.
func (s *Store) realizeOne(p *planned) error {
	return s.opts.Step("working.make", func() error { return s.create(p) })
}

func (s *Store) create(p *planned) error {
	id := p.record.ID
	if _, err := s.Store.CreateContainer(id, p.record.Names, p.record.ImageID, p.record.LayerID, "", &p.options); err != nil {
		return fmt.Errorf("make working container %s: %w", id, err)
	}
	delete(s.planned, id)
	for range p.mounts {
		path, err := s.Store.Mount(id, "")
		if err != nil {
			return fmt.Errorf("mount working container %s: %w", id, err)
		}
		if want := s.mountPoint(p); path != want {
			return fmt.Errorf("working container %s is mounted at %s, not at %s", id, path, want)
		}
	}
	dir, err := s.Store.ContainerDirectory(id)
	if err != nil {
		return fmt.Errorf("find the directory of working container %s: %w", id, err)
	}
	if err := os.CopyFS(dir, os.DirFS(p.dir)); err != nil {
		return fmt.Errorf("fill the directory of working container %s: %w", id, err)
	}
	return os.RemoveAll(p.dir)
}

// mountPoint is where the overlay driver mounts the layer of a container.
func (s *Store) mountPoint(p *planned) string {
	return filepath.Join(s.GraphRoot(), "overlay", p.record.LayerID, "merged")
}

// asked calls f with the planned container that name stands for, if there is one,
// and says whether there is.
func (s *Store) asked(name string, f func(*planned)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.find(name)
	if p != nil {
		f(p)
	}
	return p != nil
}

// Mount mounts a container. The first mount of a planned one is put off: buildah
// mounts a container when it has made it, and again for each use.
func (s *Store) Mount(id, mountLabel string) (string, error) {
	if err := s.opts.Begin(); err != nil {
		return "", err
	}
	later := ""
	s.asked(id, func(p *planned) {
		if p.mounts == 0 {
			p.mounts++
			later = s.mountPoint(p)
		}
	})
	if later != "" {
		return later, nil
	}
	if err := s.realize(id); err != nil {
		return "", err
	}
	root, err := s.Store.Mount(id, mountLabel)
	if err != nil || s.opts.Vet == nil {
		return root, err
	}
	if err := s.opts.Vet(root); err != nil {
		_, _ = s.Store.Unmount(id, false)
		return "", err
	}
	return root, nil
}

// Unmount takes back one Mount.
func (s *Store) Unmount(id string, force bool) (bool, error) {
	if s.asked(id, func(p *planned) { p.mounts = 0 }) {
		return false, nil
	}
	return s.Store.Unmount(id, force)
}

// Mounted counts the mounts of a container or layer.
func (s *Store) Mounted(id string) (n int, err error) {
	if s.asked(id, func(p *planned) { n = p.mounts }) {
		return n, nil
	}
	return s.Store.Mounted(id)
}

// DeleteContainer removes a container, or drops a plan. On a full disk the reserve
// lends it the room that deleting takes.
func (s *Store) DeleteContainer(id string) error {
	s.opts.Dropping(id)
	s.mu.Lock()
	maps.DeleteFunc(s.taken, func(name, of string) bool { return name == id || of == id })
	if p := s.find(id); p != nil { // in one step with its name, which another stage may take
		defer s.mu.Unlock()
		delete(s.planned, p.record.ID)
		return os.RemoveAll(p.dir)
	}
	s.mu.Unlock()
	if reserve.Lend(s.GraphRoot()) {
		defer func() { _ = reserve.Retake(s.GraphRoot()) }() // its lack is no failure of the build
	}
	return s.Store.DeleteContainer(id)
}

// Container returns a container, planned or not.
func (s *Store) Container(id string) (c *storage.Container, err error) {
	if s.asked(id, func(p *planned) { c = p.container() }) {
		return c, nil
	}
	return s.Store.Container(id)
}

// Containers lists them all, those that are planned too.
func (s *Store) Containers() ([]storage.Container, error) {
	all, err := s.Store.Containers()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.planned {
		all = append(all, *p.container())
	}
	return all, nil
}

// ContainerDirectory is a directory for what belongs to a container.
func (s *Store) ContainerDirectory(id string) (dir string, err error) {
	if s.asked(id, func(p *planned) { dir = p.dir }) {
		return dir, nil
	}
	return s.Store.ContainerDirectory(id)
}

// Layer returns a layer, that of a planned container too.
func (s *Store) Layer(id string) (*storage.Layer, error) {
	s.mu.Lock()
	if p := s.planned[id]; p != nil {
		defer s.mu.Unlock()
		return &storage.Layer{ID: id, Parent: p.parent, Created: p.record.Created, Flags: map[string]any{}}, nil
	}
	s.mu.Unlock()
	if s.memo != nil {
		if layer := s.memo.getLayer(id); layer != nil {
			return layer, nil
		}
	}
	return s.Store.Layer(id)
}

// LayersByUncompressedDigest returns the layers with some content.
func (s *Store) LayersByUncompressedDigest(d digest.Digest) ([]storage.Layer, error) {
	if s.memo != nil && d.Validate() == nil {
		if layers, known := s.memo.layersOf(d); len(layers) > 0 {
			return layers, nil
		} else if known {
			return nil, storage.ErrLayerUnknown
		}
	}
	return s.Store.LayersByUncompressedDigest(d)
}

// Images lists all images.
func (s *Store) Images() (all []storage.Image, err error) {
	if s.memo != nil {
		all, err = s.memo.list()
	} else {
		all, err = s.Store.Images()
	}
	for i := range all {
		all[i].Names = lasting(all[i].Names)
	}
	return all, err
}

// Image returns an image by its id or name.
func (s *Store) Image(id string) (*storage.Image, error) {
	var img *storage.Image
	if s.memo != nil {
		img = s.memo.get(id)
	}
	if img == nil {
		var err error
		if img, err = s.Store.Image(id); err != nil {
			return nil, err
		}
	}
	if img.ID == id {
		img.Names = lasting(img.Names)
	}
	return img, nil
}

// passing is the name that buildah gives an image while it commits it.
var passing = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(^|/)[0-9a-f]{64}-tmp(:latest)?$`) }) //nolint:gochecknoglobals // compiled once, when it is needed

// lasting leaves out the passing names of an image. Another stage or build that
// finds the image in the cache just then would take such a name for the base's, and
// write it into the history of what it makes. Who commits looks for the image by
// that name, and is given it.
func lasting(names []string) []string {
	if !slices.ContainsFunc(names, passing().MatchString) {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), passing().MatchString)
}

// ImageBigData returns a manifest or configuration.
func (s *Store) ImageBigData(id, key string) ([]byte, error) {
	if s.memo != nil {
		return s.memo.bigData(id, key)
	}
	return s.Store.ImageBigData(id, key)
}

// Diff reads what a layer adds.
func (s *Store) Diff(from, to string, options *storage.DiffOptions) (io.ReadCloser, error) {
	if err := s.realize(to); err != nil {
		return nil, err
	}
	return s.Store.Diff(from, to, options)
}

// DiffSize is the size of what a layer adds.
func (s *Store) DiffSize(from, to string) (int64, error) {
	if err := s.realize(to); err != nil {
		return -1, err
	}
	return s.Store.DiffSize(from, to)
}

// Changes lists what a layer adds.
func (s *Store) Changes(from, to string) ([]archive.Change, error) {
	if err := s.realize(to); err != nil {
		return nil, err
	}
	return s.Store.Changes(from, to)
}

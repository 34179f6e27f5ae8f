package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/selinux/go-selinux"
	cstorage "go.podman.io/storage"
	drivers "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/ioutils"
	"go.podman.io/storage/pkg/lockfile"
	"go.podman.io/storage/pkg/system"
	"go.podman.io/storage/types"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/storage/jsonlist"
)

// The library decodes and encodes all records of its lists for each container that
// comes or goes, three times: with 1000 containers that is more than half of the time
// of a create. A plain container's two records are put into the lists, and taken out of
// them, in place: the same files, the same records, under the same locks and written in
// the same way. What is not plain, or not as expected, is done by the library.
//
// The layer's directory is made before it is listed, and removed before it is taken off
// the list. A kill in between leaves a directory or a record whose name follows from the
// container's id, and the container's own record says that it is being made or removed:
// whoever comes next removes what there is.

// metadata is podman's, with our mark.
type metadata struct {
	ImageName  string `json:"image-name,omitempty"`
	ImageID    string `json:"image-id,omitempty"`
	Name       string `json:"name,omitempty"`
	CreatedAt  int64  `json:"created-at,omitempty"`
	MountLabel string `json:"mountlabel,omitempty"`
	Creator    string `json:"creator,omitempty"`
	RunDir     string `json:"pod-run-dir,omitempty"`
}

// shortMark begins the metadata of pod's containers, before the run directory. Each tool
// decodes that of all containers, over and over, so it says no more, and has no quotes:
// the rest is in pod's own record, or in the store's.
const shortMark = Creator + ":"

// list is one of the library's lists of this store, locked.
type list struct {
	jsonlist.List
	path string
	lock *lockfile.LockFile
}

// lists are those that a container is in, locked in the library's order.
type lists struct{ layers, containers *list }

// place is where the library's lists of a store are.
type place struct{ graphRoot, runRoot, driver string }

func (s *Store) place() place {
	return place{s.conf.GraphRoot, s.conf.RunRoot, s.conf.GraphDriverName}
}

// dir is where a list is below a root: "layers", "images" or "containers".
func (p place) dir(root, kind string) string { return filepath.Join(root, p.driver+"-"+kind) }

// openList locks a list and reads it.
func (p place) openList(kind string) (*list, error) {
	dir := p.dir(p.graphRoot, kind)
	lock, err := lockfile.GetLockFile(filepath.Join(dir, kind+".lock"))
	if err != nil {
		return nil, fmt.Errorf("lock the list of %s: %w", kind, err)
	}
	lock.Lock()
	l := &list{path: filepath.Join(dir, kind+".json"), lock: lock}
	l.List, err = os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = l.Check()
	}
	if err != nil {
		lock.Unlock()
		return nil, fmt.Errorf("read the list of %s: %w", kind, err)
	}
	return l, nil
}

// write replaces the list, as the library does it.
func (l *list) write(data jsonlist.List) error {
	// Before the file: whoever is killed in between has others read it once more.
	if _, err := l.lock.RecordWrite(); err != nil {
		return err
	}
	if err := ioutils.AtomicWriteFile(l.path, data, 0o600); err != nil {
		return err
	}
	l.List = data
	return nil
}

// entry is where a record is in a list; from is -1 if it is not there.
type entry struct{ from, to int }

// record decodes the record with an id, if there is one.
func (l *list) record(id string, into any) (e entry, err error) {
	e.from, e.to, err = l.Find(id)
	if err != nil || e.from < 0 {
		return e, err
	}
	return e, json.Unmarshal(l.List[e.from:e.to], into)
}

// drop takes a record off the list.
func (l *list) drop(e entry) error {
	if e.from < 0 {
		return nil
	}
	return l.write(l.Without(e.from, e.to))
}

// openLists locks both lists, or neither.
func (p place) openLists() (*lists, error) {
	layers, err := p.openList("layers")
	if err != nil {
		return nil, err
	}
	containers, err := p.openList("containers")
	if err != nil {
		layers.lock.Unlock()
		return nil, err
	}
	return &lists{layers, containers}, nil
}

func (l *lists) close() {
	l.containers.lock.Unlock()
	l.layers.lock.Unlock()
}

// volatileMentions says whether a text is in one of the lists of what may be lost with
// the power; the caller has the locks.
func (p place) volatileMentions(text string) (bool, error) {
	for _, kind := range []string{"layers", "containers"} {
		l, err := os.ReadFile(filepath.Join(p.dir(p.graphRoot, kind), "volatile-"+kind+".json"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		if jsonlist.List(l).Mentions(text) {
			return true, nil
		}
	}
	return false, nil
}

// plain says whether a configuration is of a store whose lists this package knows how
// to write.
func plain(conf *types.StoreOptions) bool {
	return !conf.TransientStore && conf.ImageStore == "" && len(conf.UIDMap) == 0 && len(conf.GIDMap) == 0 && !selinux.GetEnabled()
}

// plainDriver is the driver of the store, if the store is plain.
func (s *Store) plainDriver() (drivers.Driver, bool) {
	if !plain(&s.conf) {
		return nil, false
	}
	lib, err := s.opened()
	if err != nil {
		return nil, false
	}
	driver, err := lib.GraphDriver()
	return driver, err == nil && driver.SyncMode() == drivers.SyncModeNone
}

// createListed makes a container. It returns false, having done nothing, when that is
// for the library to do, or to refuse.
func (s *Store) createListed(ctx context.Context, o *ContainerOptions, meta string) (bool, error) {
	if o.Volatile || !o.ordinary() {
		return false, nil
	}
	plan, ok := s.newLayers() // first: the library has the same locks
	if !ok {
		return false, nil
	}
	img, err := s.Image(o.ImageID)
	if err != nil || img.ID != o.ImageID || img.ReadOnly || img.TopLayer == "" {
		return false, nil //nolint:nilerr // the library says it in its own words
	}
	l, err := s.place().openLists()
	if err != nil {
		return false, nil //nolint:nilerr // likewise
	}
	defer l.close()
	if ok, err := s.place().mayList(l, o, img.TopLayer); !ok || err != nil {
		return false, err
	}
	now := time.Now().UTC()
	layer := cstorage.Layer{ID: LayerID(o.ID), Parent: img.TopLayer, Created: now}
	container := cstorage.Container{ID: o.ID, ImageID: img.ID, LayerID: layer.ID, Metadata: meta, Created: now}
	if o.Name != "" {
		container.Names = []string{o.Name}
	}
	dir, ok := plan(layer.ID, layer.Parent)
	if !ok {
		return false, nil
	}
	if err := l.add(ctx, dir, &layer, &container); err != nil {
		return true, translate("create storage of", o.ID[:12], err)
	}
	return true, nil
}

// mayList says whether a container can be listed: its image is there with a top layer
// of no other owners, and nobody has its ids or its name.
func (p place) mayList(l *lists, o *ContainerOptions, top string) (bool, error) {
	var parent cstorage.Layer
	e, err := l.layers.record(top, &parent)
	if err != nil || e.from < 0 || len(parent.UIDMap)+len(parent.GIDMap)+len(parent.MountLabel) > 0 || parent.Flags["incomplete"] != nil {
		return false, nil //nolint:nilerr // for the library
	}
	if l.layers.Mentions(LayerID(o.ID)) || l.containers.Mentions(o.ID) {
		return false, nil
	}
	for _, text := range []string{o.ID, LayerID(o.ID), o.Name} {
		if in, err := p.volatileMentions(text); in || err != nil {
			return false, err
		}
	}
	if o.Name != "" && (!jsonlist.AsIs(o.Name) || l.containers.Mentions(o.Name)) {
		return false, nil // for the library
	}
	// An image is removed under the lock of the layers, which is held.
	images, err := os.ReadFile(filepath.Join(p.dir(p.graphRoot, "images"), "images.json"))
	return err == nil && jsonlist.List(images).Mentions(o.ImageID), nil
}

// add makes the directory of a layer and lists layer and container; all or nothing.
func (l *lists) add(ctx context.Context, dir newLayer, layer *cstorage.Layer, container *cstorage.Container) error {
	layerRecord, err := json.Marshal(layer)
	if err != nil {
		return err
	}
	containerRecord, err := json.Marshal(container)
	if err != nil {
		return err
	}
	if err := step.Do(ctx, "storage.layer", dir.make); err != nil {
		return err
	}
	if err = l.layers.write(l.layers.With(layerRecord)); err == nil {
		err = step.Do(ctx, "storage.listed", func() error { return l.containers.write(l.containers.With(containerRecord)) })
	}
	if err != nil {
		return errors.Join(err, dir.undo(), l.layers.undo(layer.ID))
	}
	return nil
}

// undo takes a record off the list after a list could not be written.
func (l *list) undo(id string) (err error) {
	if l.List, err = os.ReadFile(l.path); err != nil {
		return err
	}
	e, err := l.record(id, &struct{}{})
	if err != nil {
		return err
	}
	return l.drop(e)
}

// DeleteUnopened removes the root file system of a container without opening the store,
// which reads the records of all. It returns false, having done nothing, if that takes
// more than a few files and two records.
func DeleteUnopened(ctx context.Context, opts Options, id string) (bool, error) {
	conf, err := configure(opts)
	if err != nil || !plain(&conf) || conf.GraphDriverName == "" && !holdsData(conf.GraphRoot, overlayName) ||
		conf.GraphDriverName != "" && conf.GraphDriverName != overlayName {
		return false, nil //nolint:nilerr // whoever opens the store says it
	}
	p := place{conf.GraphRoot, conf.RunRoot, overlayName}
	home := filepath.Join(p.graphRoot, overlayName)
	return p.deleteListed(ctx, id, func(layer string) func() (func() error, error) {
		dir := filepath.Join(home, layer)
		if left := fewFiles; !few(dir, &left) {
			return nil
		}
		return func() (func() error, error) { return nothing, removeOverlay(home, layer) }
	})
}

const (
	overlayName = "overlay"
	// fewFiles are removed while others wait for the lock.
	fewFiles = 200
)

func nothing() error { return nil }

// few says whether there are no more files below a directory than left says.
func few(dir string, left *int) bool {
	f, err := os.Open(dir)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	entries, err := f.ReadDir(*left + 1)
	if err = errors.Join(err, f.Close()); err != nil && !errors.Is(err, io.EOF) || len(entries) > *left {
		return false
	}
	*left -= len(entries)
	for _, e := range entries {
		if e.IsDir() && !few(filepath.Join(dir, e.Name()), left) {
			return false
		}
	}
	return true
}

// removeOverlay removes a layer's directory and its short name, as the driver does.
func removeOverlay(home, layer string) error {
	dir := filepath.Join(home, layer)
	link, err := os.ReadFile(filepath.Join(dir, "link"))
	if name := string(link); err == nil && name != "" && name == filepath.Base(name) && name != ".." && name != "." {
		if err := os.Remove(filepath.Join(home, "l", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return system.EnsureRemoveAll(dir)
}

// deleteListed removes a container. It returns false, having done nothing, when that is
// for the library to do.
func (s *Store) deleteListed(ctx context.Context, id string) (bool, error) {
	driver, ok := s.plainDriver()
	if !ok {
		return false, nil
	}
	return s.place().deleteListed(ctx, id, func(layer string) func() (func() error, error) {
		return func() (func() error, error) {
			if left := fewFiles; driver.String() == overlayName && few(s.layerDir(layer), &left) {
				return nothing, driver.Remove(layer)
			}
			cleanup, err := driver.DeferredRemove(layer)
			if cleanup == nil {
				return nothing, err
			}
			return cleanup, err
		}
	})
}

// deleteListed asks remover for what removes the directory of a layer, or moves it away
// to be removed by the cleanup that is returned; it gives nil to leave that to others.
func (p place) deleteListed(ctx context.Context, id string, remover func(layer string) func() (cleanup func() error, err error)) (done bool, err error) {
	if len(id) != idLength {
		return false, nil
	}
	l, err := p.openLists()
	if err != nil {
		return false, nil //nolint:nilerr // the library says it in its own words
	}
	cleanup := nothing
	defer func() {
		l.close()
		err = errors.Join(err, cleanup()) // what was written may be much, and nobody waits for that
	}()
	var container cstorage.Container
	at, err := l.containers.record(id, &container)
	if err != nil || at.from < 0 || !strings.HasPrefix(container.LayerID, layerMark) {
		return false, nil //nolint:nilerr // likewise
	}
	layer, ok, err := p.mayUnlist(l, container.LayerID)
	if !ok || err != nil {
		return false, err
	}
	remove := remover(container.LayerID)
	if remove == nil {
		return false, nil
	}
	err = step.Do(ctx, "storage.layer", func() (err error) {
		cleanup, err = remove()
		return err
	})
	if err == nil {
		err = l.layers.drop(layer)
	}
	for _, root := range []string{p.graphRoot, p.runRoot} {
		if err == nil {
			err = system.EnsureRemoveAll(filepath.Join(p.dir(root, "containers"), id))
		}
	}
	if err == nil {
		err = step.Do(ctx, "storage.unlisted", func() error { return l.containers.drop(at) })
	}
	return true, translate("delete storage of", id, err)
}

// mayUnlist says whether a layer can be taken off the list, and where it is: nothing is
// on it, it is not mounted, and it has nothing but its directory.
func (p place) mayUnlist(l *lists, layer string) (at entry, ok bool, err error) {
	var record cstorage.Layer
	// A kill may have been between layer and container, so it need not be there.
	at, err = l.layers.record(layer, &record)
	if err != nil || len(record.MountLabel)+len(record.BigDataNames) > 0 || l.layers.MentionsField("parent", layer) {
		return at, false, nil //nolint:nilerr // for the library
	}
	if in, err := p.volatileMentions(layer); in || err != nil {
		return at, false, err
	}
	mounts, err := os.ReadFile(filepath.Join(p.dir(p.runRoot, "layers"), "mountpoints.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return at, false, err
	}
	return at, !jsonlist.List(mounts).Mentions(layer), nil
}

// deleteUnlisted removes the directory of a layer that is on no list: what a kill
// leaves of createListed.
func (s *Store) deleteUnlisted(layer string) error {
	driver, ok := s.plainDriver()
	if !ok {
		return nil
	}
	l, err := s.place().openList("layers")
	if errors.Is(err, jsonlist.ErrUnusual) {
		return nil // so it was not made by createListed
	}
	if err != nil {
		return err
	}
	defer l.lock.Unlock()
	if in, err := s.place().volatileMentions(layer); in || err != nil || l.Mentions(layer) {
		return err
	}
	if err := s.dropEmptyNote(layer); err != nil {
		return err
	}
	return driver.Remove(layer)
}

package storage

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	drivers "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// newLayer makes the directory of a layer, and undoes that.
type newLayer struct{ make, undo func() error }

// newLayers is what plans the directory of a layer on another one, for createListed: the
// driver, or without opening the store pod itself. A plan is not ok, or there is no
// planner, when the layer is for the library to make.
func (s *Store) newLayers() (plan func(id, parent string) (newLayer, bool), ok bool) {
	if s.known {
		home := filepath.Join(s.conf.GraphRoot, overlayName)
		return func(id, parent string) (newLayer, bool) { return planOverlay(home, id, parent) }, true
	}
	driver, ok := s.plainDriver()
	return func(id, parent string) (newLayer, bool) {
		return newLayer{
			make: func() error {
				return driver.CreateReadWrite(id, parent, &drivers.CreateOpts{IDMappings: &idtools.IDMappings{}})
			},
			undo: func() error { return driver.Remove(id) },
		}, true
	}, ok
}

// planOverlay plans what the overlay driver would make, file by file and in its order,
// on a layer that is plain.
func planOverlay(home, id, parent string) (newLayer, bool) {
	below := filepath.Join(home, parent)
	var like unix.Stat_t
	if err := unix.Lstat(filepath.Join(below, "diff"), &like); err != nil || like.Mode&unix.S_IFMT != unix.S_IFDIR {
		return newLayer{}, false
	}
	// The driver would believe this about mode and owner.
	if _, err := unix.Lgetxattr(filepath.Join(below, "diff"), idtools.ContainersOverrideXattr, nil); !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
		return newLayer{}, false
	}
	if _, err := os.Lstat(filepath.Join(home, id)); !errors.Is(err, fs.ErrNotExist) {
		return newLayer{}, false
	}
	link, err := os.ReadFile(filepath.Join(below, "link"))
	if err != nil || len(link) == 0 {
		return newLayer{}, false
	}
	lower, layers := "l/"+string(link), parent
	if !firstLayer(below) {
		lowerBelow, err := os.ReadFile(filepath.Join(below, "lower"))
		layersBelow, layersErr := os.ReadFile(filepath.Join(below, "lower-layers"))
		if err != nil || layersErr != nil || len(lowerBelow) == 0 || len(layersBelow) == 0 {
			return newLayer{}, false
		}
		lower, layers = lower+":"+string(lowerBelow), layers+":"+string(layersBelow)
	}
	l := &overlayLayer{home: home, id: id, name: rand.Text(), lower: lower, layers: layers, like: like}
	return newLayer{make: l.make, undo: l.undo}, true
}

// overlayLayer is a layer of the overlay driver's that is to be made.
type overlayLayer struct {
	home, id string
	// name is the short one.
	name string
	// lower and layers say what is below, by short names and by ids.
	lower, layers string
	// like is what the root directory is to be like.
	like unix.Stat_t
}

func (l *overlayLayer) make() error {
	dir := filepath.Join(l.home, l.id)
	owner := idtools.IDPair{UID: int(l.like.Uid), GID: int(l.like.Gid)}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := idtools.MkdirAndChown(filepath.Join(dir, "diff"), fs.FileMode(l.like.Mode)&fs.ModePerm, owner); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join("..", l.id, "diff"), l.link()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "link"), []byte(l.name), 0o644); err != nil { //nolint:gosec // as the driver does it
		return err
	}
	for _, sub := range []string{"work", "merged"} {
		if err := idtools.MkdirAndChown(filepath.Join(dir, sub), 0o700, owner); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "lower"), []byte(l.lower), 0o666); err != nil { //nolint:gosec // likewise
		return err
	}
	return os.WriteFile(filepath.Join(dir, "lower-layers"), []byte(l.layers), 0o666) //nolint:gosec // likewise
}

func (l *overlayLayer) link() string { return filepath.Join(l.home, "l", l.name) }

func (l *overlayLayer) undo() error {
	err := os.Remove(l.link())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, removeOverlay(l.home, l.id))
}

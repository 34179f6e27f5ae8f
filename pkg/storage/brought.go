package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
)

// BroughtFlag marks layers that pod unpacked for an image to come. One that no
// image came to use is what is left of a pull or load that was killed or refused.
const BroughtFlag = "pod.brought"

// Bringing is held by a process that brings images: it keeps others from taking
// its layers, which have no image yet, for left over.
type Bringing struct{ lock *os.File }

// Bring begins to bring images.
func (s *Store) Bring() (*Bringing, error) {
	f, err := s.bringLock()
	if err != nil {
		return nil, err
	}
	if err := flock.Lock(f, unix.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return &Bringing{lock: f}, nil
}

// End lets go.
func (b *Bringing) End() error { return b.lock.Close() }

func (s *Store) bringLock() (*os.File, error) {
	dir := filepath.Join(s.Root(), "pod")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "bringing"), os.O_RDONLY|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	return f, nil
}

// DropBrought removes layers that were brought for images that did not come to
// be, unless another process is bringing some: they may be its. Own, if not nil,
// is what this process holds itself. It returns how many went.
func (s *Store) DropBrought(ctx context.Context, own *Bringing) (int, error) {
	lib, err := s.lib(ctx)
	if err != nil {
		return 0, err
	}
	n, err := s.dropLeft(lib, BroughtFlag, own)
	return n, errors.Join(err, s.sweepMapping(lib))
}

// DropMapped removes the copies that MapImage made of layers for images that are
// gone, as DropBrought does.
func (s *Store) DropMapped(ctx context.Context, own *Bringing) error {
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	_, err = s.dropLeft(lib, mappedFlag, own)
	return errors.Join(err, s.sweepMapping(lib))
}

func (s *Store) dropLeft(lib cstorage.Store, flag string, own *Bringing) (int, error) {
	left, err := broughtLeft(lib, flag)
	if err != nil || len(left) == 0 {
		return 0, err
	}
	var f *os.File
	if own != nil {
		f = own.lock
		defer func() { _ = flock.Lock(f, unix.LOCK_SH) }()
	} else {
		if f, err = s.bringLock(); err != nil {
			return 0, err
		}
		defer f.Close()
	}
	switch err := flock.Lock(f, unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	// Once more: an image may have come to be meanwhile.
	if left, err = broughtLeft(lib, flag); err != nil {
		return 0, err
	}
	for n, id := range left {
		if err := lib.DeleteLayer(id); err != nil && !errors.Is(err, cstorage.ErrLayerUnknown) {
			return n, fmt.Errorf("delete layer %s: %w", id, err)
		}
	}
	return len(left), nil
}

// broughtLeft lists layers with a flag that nothing needs, those above first. The
// layers are read before what uses them: see OrphanLayers.
func broughtLeft(lib cstorage.Store, flag string) ([]string, error) {
	layers, err := lib.Layers()
	if err != nil {
		return nil, fmt.Errorf("list layers: %w", err)
	}
	marked := false
	parent := make(map[string]string, len(layers))
	children := make(map[string]int, len(layers))
	flagged := map[string]bool{}
	for i := range layers {
		parent[layers[i].ID] = layers[i].Parent
		children[layers[i].Parent]++
		if _, ok := layers[i].Flags[flag]; ok && !layers[i].ReadOnly {
			flagged[layers[i].ID], marked = true, true
		}
	}
	if !marked {
		return nil, nil
	}
	used, err := usedLayers(lib)
	if err != nil {
		return nil, err
	}
	var left []string
	for i := range layers {
		// Up from each leaf as long as nothing needs what is there.
		for id := layers[i].ID; id != "" && flagged[id] && !used[id] && children[id] == 0; id = parent[id] {
			left = append(left, id)
			delete(flagged, id)
			children[parent[id]]--
		}
	}
	return left, nil
}

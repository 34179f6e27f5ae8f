package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	cstorage "go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/idtools"
)

// LayerChanges lists what the layer to has over the layer from; an empty from is
// its parent.
func (s *Store) LayerChanges(ctx context.Context, from, to string) ([]archive.Change, error) {
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	for _, layer := range []string{from, to} {
		if p, err := s.passingOf(layer); err != nil {
			return nil, err
		} else if p != nil {
			if err := s.adopt(ctx, p.ID); err != nil {
				return nil, err
			}
		}
	}
	changes, err := lib.Changes(from, to)
	if errors.Is(err, syscall.ENOTDIR) {
		// The library stumbles over a directory that replaces a file of a layer
		// below; the whole trees can still be compared.
		changes, err = compareTrees(lib, from, to)
	}
	if err != nil {
		return nil, fmt.Errorf("compare layers: %w", noSpace(err))
	}
	return changes, nil
}

// compareTrees compares two layers, each with those below it, by mounting them.
func compareTrees(lib cstorage.Store, from, to string) (_ []archive.Change, err error) {
	if from == "" {
		layer, err := lib.Layer(to)
		if err != nil {
			return nil, err
		}
		from = layer.Parent
	}
	var dirs [2]string
	for i, layer := range []string{to, from} {
		if layer == "" {
			continue // the first layer of all: nothing below
		}
		if dirs[i], err = lib.Mount(layer, ""); err != nil {
			return nil, err
		}
		defer func() {
			_, unmountErr := lib.Unmount(layer, false)
			err = errors.Join(err, unmountErr)
		}()
	}
	return archive.ChangesDirs(dirs[0], &idtools.IDMappings{}, dirs[1], &idtools.IDMappings{})
}

// LayerDiff is the archive of what a container has written over its image, with
// whiteouts as in an image's layer. The store is locked until it is closed.
func (s *Store) LayerDiff(ctx context.Context, id string) (io.ReadCloser, error) {
	if err := s.adopt(ctx, id); err != nil {
		return nil, err
	}
	c, err := s.Container(ctx, id)
	if err != nil {
		return nil, err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	plain := archive.Uncompressed
	diff, err := lib.Diff("", c.LayerID, &cstorage.DiffOptions{Compression: &plain})
	return diff, translate("read what is in", id, err)
}

// NewLayer makes a layer of an image from an archive.
func (s *Store) NewLayer(ctx context.Context, id, parent string, opts *cstorage.LayerOptions, diff io.Reader) error {
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	_, _, err = lib.PutLayer(id, parent, nil, "", false, opts, diff)
	return translate("make layer", id, err)
}

// NewImage makes an image on a layer and gives it names, which other images
// lose. An image that is there already only gets the names.
func (s *Store) NewImage(ctx context.Context, id, layer string, names []string, opts *cstorage.ImageOptions) (existed bool, err error) {
	lib, err := s.lib(ctx)
	if err != nil {
		return false, err
	}
	_, err = lib.CreateImage(id, names, layer, "", opts)
	if errors.Is(err, cstorage.ErrDuplicateID) {
		return true, translate("name image", id, lib.AddNames(id, names))
	}
	return false, translate("make image", id, err)
}

// ApplyDiff unpacks an archive that LayerDiff wrote into a container's layer.
func (s *Store) ApplyDiff(ctx context.Context, id string, diff io.Reader) error {
	if err := s.adopt(ctx, id); err != nil {
		return err
	}
	c, err := s.Container(ctx, id)
	if err != nil {
		return err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	_, err = lib.ApplyDiff(c.LayerID, diff)
	return translate("unpack the file system of", id, err)
}

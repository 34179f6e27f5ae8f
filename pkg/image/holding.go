package image

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.podman.io/common/libimage"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/pkg/image/basic"
)

// Holding is what an image holds of the disk.
type Holding struct {
	ID       string
	Names    []string
	LastUsed time.Time
	// Layers are its layers, the top one first; others may hold them too.
	Layers []string
	// Own is what is the image's alone beside layers: configuration, manifests.
	Own int64
	// Containers are made of it, in any tool.
	Containers []string
	// Dangling images have no name, and nothing is built on them.
	Dangling bool
}

// Holdings tells what images hold, and how large each layer is that is not a
// container's own: also those that no image holds. What lies in read-only stores
// is left out.
func (s *Store) Holdings(ctx context.Context) ([]Holding, map[string]int64, error) {
	lib, err := s.reading()
	if err != nil {
		return nil, nil, err
	}
	list, err := lib.ListImages(ctx, &libimage.ListImagesOptions{Filters: []string{"readonly=false"}, SetListData: true})
	if err != nil {
		return nil, nil, explainFilter(err)
	}
	users, err := s.users()
	if err != nil {
		return nil, nil, err
	}
	sizes, parents, err := s.layerSizes()
	if err != nil {
		return nil, nil, err
	}
	out := make([]Holding, 0, len(list))
	for _, img := range list {
		stored := img.StorageImage()
		h := Holding{
			ID: stored.ID, Names: stored.Names, LastUsed: s.LastUsed(stored.ID, stored.Created), Containers: users[stored.ID],
			Dangling: img.ListData.IsDangling != nil && *img.ListData.IsDangling,
		}
		for _, n := range stored.BigDataSizes {
			h.Own += n
		}
		seen := map[string]bool{}
		for _, top := range append([]string{stored.TopLayer}, stored.MappedTopLayers...) {
			for layer := top; layer != "" && !seen[layer]; layer = parents[layer] {
				seen[layer] = true
				if _, ours := sizes[layer]; ours {
					h.Layers = append(h.Layers, layer)
				}
			}
		}
		out = append(out, h)
	}
	return out, sizes, nil
}

// layerSizes are the sizes of layers but those of containers, and the parents.
func (s *Store) layerSizes() (sizes map[string]int64, parents map[string]string, err error) {
	store, err := s.storage.Library()
	if err != nil {
		return nil, nil, err
	}
	all, err := store.MultiList(cstorage.MultiListOptions{Layers: true, Containers: true})
	if err != nil {
		return nil, nil, fmt.Errorf("list layers: %w", err)
	}
	containers := map[string]bool{}
	for i := range all.Containers {
		containers[all.Containers[i].LayerID] = true
	}
	sizes, parents = map[string]int64{}, map[string]string{}
	for i := range all.Layers {
		layer := &all.Layers[i]
		parents[layer.ID] = layer.Parent
		if containers[layer.ID] || layer.ReadOnly {
			continue
		}
		size := layer.UncompressedSize
		if size < 0 { // not noted by whoever made it
			size, err = store.DiffSize("", layer.ID)
			if errors.Is(err, cstorage.ErrLayerUnknown) {
				continue // gone meanwhile
			}
			if err != nil {
				return nil, nil, fmt.Errorf("size of layer %s: %w", layer.ID, err)
			}
		}
		sizes[layer.ID] = size
	}
	return sizes, parents, nil
}

// Drop removes an image with all its names, if it is still as it was: with named
// nothing but without containers, else without names and dependants. Its parents
// stay.
func (s *Store) Drop(ctx context.Context, id string, named bool) error {
	lib, err := s.reading()
	if err != nil {
		return err
	}
	filters := []string{"readonly=false", "id=" + id, "dangling=true"}
	if named {
		filters[2] = "containers=false"
	}
	gone, errs := lib.RemoveImages(ctx, nil, &libimage.RemoveImagesOptions{Filters: filters, NoPrune: true})
	if len(gone)+len(errs) == 0 {
		return &Error{Name: id, Reason: ErrInUse.Error(), Kind: basic.InUse}
	}
	return explain(id, errors.Join(errs...))
}

// MarkBuilt notes that a build used all that the image is made of: its base and
// the steps that were cached. It returns without an error where the image is gone.
func (s *Store) MarkBuilt(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	store, err := s.storage.Library()
	if err != nil {
		return err
	}
	img, err := store.Image(id)
	if errors.Is(err, cstorage.ErrImageUnknown) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find image %s: %w", id, err)
	}
	below := map[string]bool{}
	for layer := img.TopLayer; layer != ""; {
		below[layer] = true
		found, err := store.Layer(layer)
		if errors.Is(err, cstorage.ErrLayerUnknown) {
			break // gone meanwhile
		}
		if err != nil {
			return fmt.Errorf("find layer %s: %w", layer, err)
		}
		layer = found.Parent
	}
	images, err := store.Images()
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	for i := range images {
		if below[images[i].TopLayer] {
			s.MarkUsed(images[i].ID)
		}
	}
	return nil
}

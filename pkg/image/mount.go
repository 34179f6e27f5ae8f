package image

import (
	"context"
	"errors"
	"fmt"

	"go.podman.io/common/libimage"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/step"
)

// Mounted is a mounted image.
type Mounted struct {
	ID, Digest string
	Names      []string
	// Path is where its root file system is.
	Path string
}

// Mount mounts root file systems of local images, read-only; each mount is
// counted. All takes every image, intermediate ones too.
func (s *Store) Mount(ctx context.Context, names []string, all bool) ([]Mounted, error) {
	images, err := s.selected(ctx, names, all)
	if err != nil {
		return nil, err
	}
	var out []Mounted
	for _, img := range images {
		err := step.Do(ctx, "image.mount", func() error {
			path, err := img.Mount(ctx, nil, "")
			if err == nil {
				out = append(out, mounted(img, path))
			}
			return err
		})
		if err != nil {
			return out, explain(nameFor(img), err)
		}
	}
	return out, nil
}

// Mounts lists the images that are mounted.
func (s *Store) Mounts(ctx context.Context) ([]Mounted, error) {
	images, err := s.selected(ctx, nil, true)
	if err != nil {
		return nil, err
	}
	var out []Mounted
	for _, img := range images {
		path, err := img.Mountpoint()
		if err != nil && !errors.Is(err, cstorage.ErrLayerUnknown) {
			return nil, explain(nameFor(img), err)
		}
		if path != "" {
			out = append(out, mounted(img, path))
		}
	}
	return out, nil
}

// Unmount takes back one mount of each image, with force all. What is not mounted
// is no error and not among those returned.
func (s *Store) Unmount(ctx context.Context, names []string, all, force bool) ([]Mounted, []error) {
	var out []Mounted
	var errs []error
	if all {
		names = []string{""}
	}
	for _, name := range names {
		images, err := s.selected(ctx, []string{name}, all)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, img := range images {
			path, err := img.Mountpoint()
			if err == nil && path == "" {
				continue
			}
			if err == nil {
				err = step.Do(ctx, "image.unmount", func() error { return img.Unmount(force) })
			}
			switch {
			case err == nil:
				out = append(out, mounted(img, path))
			case !errors.Is(err, cstorage.ErrLayerNotMounted): // another image of the same layer was
				errs = append(errs, explain(nameFor(img), err))
			}
		}
	}
	return out, errs
}

// selected are the images of names, or all.
func (s *Store) selected(ctx context.Context, names []string, all bool) ([]*libimage.Image, error) {
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	if all {
		images, err := lib.ListImages(ctx, nil)
		if err != nil {
			return nil, fmt.Errorf("list images: %w", err)
		}
		kept := images[:0]
		for _, img := range images {
			if img.TopLayer() != "" { // a list of images has nothing to mount
				kept = append(kept, img)
			}
		}
		return kept, nil
	}
	var images []*libimage.Image
	for _, name := range names {
		img, _, err := lib.LookupImage(name, nil)
		if err != nil {
			return nil, explain(name, err)
		}
		if img.TopLayer() == "" {
			return nil, &Error{Name: name, Reason: "the image has no layer"}
		}
		images = append(images, img)
	}
	return images, nil
}

func mounted(img *libimage.Image, path string) Mounted {
	return Mounted{ID: img.ID(), Digest: img.Digest().String(), Names: img.Names(), Path: path}
}

func nameFor(img *libimage.Image) string {
	if names := img.Names(); len(names) > 0 {
		return names[0]
	}
	return img.ID()
}

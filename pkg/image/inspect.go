package image

import (
	"context"

	"go.podman.io/common/libimage"
)

// Data is what `image inspect` prints, with podman's keys.
type Data = libimage.ImageData

// Inspect returns all about a local image.
func (s *Store) Inspect(ctx context.Context, name string) (*Data, error) {
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	img, _, err := lib.LookupImage(name, &libimage.LookupImageOptions{})
	if err != nil {
		return nil, explain(name, err)
	}
	data, err := img.Inspect(ctx, &libimage.InspectOptions{WithParent: true, WithSize: true})
	return data, explain(name, err)
}

// History is one step of how an image was made, the newest first.
type History = libimage.ImageHistory

// History returns how a local image was made.
func (s *Store) History(ctx context.Context, name string) ([]History, error) {
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	img, _, err := lib.LookupImage(name, &libimage.LookupImageOptions{})
	if err != nil {
		return nil, explain(name, err)
	}
	history, err := img.History(ctx)
	return history, explain(name, err)
}

// Tree draws the layers of a local image, and with users the images on them.
func (s *Store) Tree(ctx context.Context, name string, users bool) (string, error) {
	lib, err := s.reading()
	if err != nil {
		return "", err
	}
	img, _, err := lib.LookupImage(name, &libimage.LookupImageOptions{})
	if err != nil {
		return "", explain(name, err)
	}
	tree, err := img.Tree(ctx, users)
	return tree, explain(name, err)
}

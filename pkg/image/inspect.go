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

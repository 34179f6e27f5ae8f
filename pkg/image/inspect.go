package image

import (
	"context"
	"time"

	"go.podman.io/common/libimage"
)

// Data is what `image inspect` prints: podman's keys, and one of pod's own.
type Data struct {
	libimage.ImageData
	// LastUsed is when pod last ran, brought, made or named the image.
	LastUsed time.Time `json:"LastUsed"`
}

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
	if err != nil {
		return nil, explain(name, err)
	}
	return &Data{ImageData: *data, LastUsed: s.LastUsed(img.ID(), img.Created()).UTC()}, nil
}

package image

import (
	"context"

	"go.podman.io/common/libimage"
)

// HistoryLayer is one step of how an image came to be.
type HistoryLayer = libimage.ImageHistory

// History returns the steps of a local image, the last one first.
func (s *Store) History(ctx context.Context, name string) ([]HistoryLayer, error) {
	img, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	layers, err := img.History(ctx)
	return layers, explain(name, err)
}

// Tree draws the layers of a local image and what they are the top of; with
// children the layers and images that are built on it.
func (s *Store) Tree(ctx context.Context, name string, children bool) (string, error) {
	img, err := s.lookup(name)
	if err != nil {
		return "", err
	}
	drawn, err := img.Tree(ctx, children)
	return drawn, explain(name, err)
}

// lookup finds a local image for libimage's own methods.
func (s *Store) lookup(name string) (*libimage.Image, error) {
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	img, _, err := lib.LookupImage(name, nil)
	return img, explain(name, err)
}

package image

import (
	"context"
	"errors"

	"go.podman.io/common/libimage"

	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Resolve finds a local image and reads its configuration, for run and create.
// It costs one look into the list of images and one file.
func (s *Store) Resolve(ctx context.Context, name string) (specgen.ImageConfig, error) {
	img, err := s.find(ctx, name)
	if err != nil {
		return specgen.ImageConfig{}, err
	}
	return s.basic.Config(img, name)
}

// Exists says whether a local image answers to name.
func (s *Store) Exists(ctx context.Context, name string) (bool, error) {
	_, err := s.find(ctx, name)
	if errors.Is(err, ErrNoImage) {
		return false, nil
	}
	return err == nil, err
}

// TopLayer is the layer of the store that a local image consists of.
func (s *Store) TopLayer(ctx context.Context, name string) (string, error) {
	img, err := s.find(ctx, name)
	if err != nil {
		return "", err
	}
	return basic.TopLayer(img, name)
}

// find looks name up as libimage does, without its cost where the answer is plain.
func (s *Store) find(ctx context.Context, name string) (basic.Found, error) {
	if err := ctx.Err(); err != nil {
		return basic.Found{}, err
	}
	img, ok, err := s.basic.Find(name)
	if err != nil {
		return basic.Found{}, explain(name, err)
	}
	if ok {
		return img, nil
	}
	lib, err := s.reading()
	if err != nil {
		return basic.Found{}, err
	}
	got, resolved, err := lib.LookupImage(name, &libimage.LookupImageOptions{})
	if err != nil {
		return basic.Found{}, explain(name, err)
	}
	return basic.Found{Image: got.StorageImage(), Name: basic.NameOf(got.StorageImage(), resolved)}, nil
}

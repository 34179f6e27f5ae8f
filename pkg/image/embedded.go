package image

import (
	"bytes"
	"context"
	"errors"

	"github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/pkg/image/bundle"
	"github.com/rootless-pod/pod/pkg/image/debugtools"
	"github.com/rootless-pod/pod/pkg/image/hello"
)

// isHello says whether name can only mean the embedded image.
func isHello(name string) bool {
	switch name {
	case "hello", "hello:latest", "localhost/hello", hello.Name:
		return true
	}
	return false
}

// pullHello puts the embedded image into the store, unless a local image
// answers to the name already; such an image is never replaced.
func (s *Store) pullHello(ctx context.Context, name string) ([]Pulled, bool, error) {
	if img, err := s.find(ctx, name); err == nil {
		// Ours needs no registry to be up to date; another is pulled as usual.
		ours := img.Name == hello.Name
		return []Pulled{{ID: img.ID, Names: img.Names}}, ours, nil
	} else if !errors.Is(err, ErrNoImage) {
		return nil, false, err
	}
	img, err := hello.Build()
	if err != nil {
		return nil, false, err
	}
	if err := s.install(img); err != nil {
		return nil, false, err
	}
	return []Pulled{{ID: img.ID, Names: []string{hello.Name}}}, true, nil
}

// EnsureTools makes sure of the embedded image of debug tools and returns its
// full name.
func (s *Store) EnsureTools(ctx context.Context) (string, error) {
	name, err := debugtools.Name()
	if err != nil {
		return "", err
	}
	if there, err := s.Exists(ctx, name); there || err != nil {
		return name, err
	}
	img, err := debugtools.Build()
	if err != nil {
		return "", err
	}
	return name, s.install(img)
}

// install writes an embedded image as a pull does. Two processes may do so at
// once: who comes second finds the other's layer and image.
func (s *Store) install(img bundle.Image) error {
	layers, err := s.storage.Synced()
	if err != nil {
		return err
	}
	lib, err := layers.Library()
	if err != nil {
		return err
	}
	if err := put(lib, img); err != nil {
		return explain(img.Name, err)
	}
	return nil
}

func put(store cstorage.Store, img bundle.Image) error {
	layer := img.DiffID.Encoded()
	_, _, err := store.PutLayer(layer, "", nil, "", false, &cstorage.LayerOptions{
		OriginalDigest: img.DiffID, UncompressedDigest: img.DiffID,
	}, bytes.NewReader(img.Layer))
	if err != nil && !errors.Is(err, cstorage.ErrDuplicateID) {
		return err
	}
	manifest := digest.FromBytes(img.Manifest)
	_, err = store.CreateImage(img.ID, []string{img.Name}, layer, "", &cstorage.ImageOptions{
		Digest: manifest,
		BigData: []cstorage.ImageBigDataOption{
			{Key: "sha256:" + img.ID, Data: img.Config, Digest: digest.FromBytes(img.Config)},
			{Key: cstorage.ImageDigestManifestBigDataNamePrefix + "-" + manifest.String(), Data: img.Manifest, Digest: manifest},
			{Key: cstorage.ImageDigestBigDataKey, Data: img.Manifest, Digest: manifest},
		},
	})
	if errors.Is(err, cstorage.ErrDuplicateID) {
		return store.AddNames(img.ID, []string{img.Name})
	}
	return err
}

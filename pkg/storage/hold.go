package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	cstorage "go.podman.io/storage"
)

// holder is what a hold is called in the metadata of its container.
const holder = "pod-hold"

// holdID is the id of the container that holds an image.
func holdID(imageID string) string {
	sum := sha256.Sum256([]byte("hold " + imageID))
	return hex.EncodeToString(sum[:])
}

// Hold keeps an image from being removed, by any tool, with or without a name: a
// container without content is made of it, as buildah makes them. It lasts until
// Release, also if this process ends before; holding twice is holding once.
func (s *Store) Hold(ctx context.Context, imageID string) error {
	lib, err := s.lib(ctx)
	if err != nil {
		return err
	}
	id := holdID(imageID)
	meta, err := json.Marshal(metadata{ImageID: imageID, Name: holdName(imageID), Creator: holder})
	if err != nil {
		return fmt.Errorf("encode metadata: %w", err)
	}
	for again := range 2 {
		_, err = lib.CreateContainer(id, []string{holdName(imageID)}, imageID, LayerID(id), string(meta), nil)
		if err == nil || lib.Exists(id) && isHeld(lib, id, imageID) {
			return nil
		}
		if again > 0 || !errors.Is(err, cstorage.ErrDuplicateID) {
			break
		}
		// A killed hold has left its layer.
		if err := s.DeleteLayer(ctx, LayerID(id)); err != nil {
			return err
		}
	}
	return translate("hold image", imageID[:min(12, len(imageID))], err)
}

func isHeld(lib cstorage.Store, id, imageID string) bool {
	c, err := lib.Container(id)
	return err == nil && c.ImageID == imageID
}

func holdName(imageID string) string { return "auto-update-keeps-" + imageID[:min(12, len(imageID))] }

// Release ends a Hold; that there is none is no error.
func (s *Store) Release(ctx context.Context, imageID string) error {
	return s.Delete(ctx, holdID(imageID))
}

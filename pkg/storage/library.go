package storage

import (
	"fmt"

	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// library is the library's store, for pkg/image and pkg/build, with the passing
// containers among the others: their images are in use.
type library struct {
	cstorage.Store
	store *Store
}

// withPassing is the library's store with the passing containers.
func (s *Store) withPassing(lib cstorage.Store) *library { return &library{Store: lib, store: s} }

// Containers lists all.
func (l *library) Containers() ([]cstorage.Container, error) {
	all, err := l.Store.Containers()
	if err != nil {
		return nil, err
	}
	more, err := l.store.allPassing()
	if err != nil {
		return nil, err
	}
	for _, p := range more {
		if p.Adopting {
			continue // it is there already, or will be
		}
		all = append(all, cstorage.Container{ID: p.ID, Names: p.describe().Names, ImageID: p.ImageID, LayerID: p.layer, Created: p.Created})
	}
	return all, nil
}

// DeleteImage refuses to delete an image that a passing container needs, as the library
// does for others.
func (l *library) DeleteImage(id string, commit bool) ([]string, error) {
	if !commit {
		return l.Store.DeleteImage(id, commit)
	}
	l.store.notes.Do(l.store.dropEmptyNotes)
	img, err := l.Image(id)
	if err != nil {
		return nil, err
	}
	// That of this image alone: files are removed meanwhile, and others may run.
	unlock, err := l.store.lockImage(img.ID, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer unlock()
	all, err := l.store.allPassing()
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.ImageID == img.ID {
			return nil, fmt.Errorf("image used by %s: %w", p.ID, cstorage.ErrImageUsedByContainer)
		}
	}
	return l.Store.DeleteImage(id, commit)
}

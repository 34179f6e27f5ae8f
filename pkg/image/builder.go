package image

import (
	"go.podman.io/image/v5/types"
	cstorage "go.podman.io/storage"
)

// Builder is what the build engine works on: the store whose layers are durable
// before they are recorded, and the settings for registries and temporary files.
func (s *Store) Builder() (cstorage.Store, *types.SystemContext, error) {
	lib, err := s.writing()
	if err != nil {
		return nil, nil, err
	}
	return lib.seen, lib.sys, nil
}

package image

import (
	"os"
	"path/filepath"
	"time"

	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/lastuse"
)

// MarkUsed notes that images are used now: made, brought, named, run, built on.
func (s *Store) MarkUsed(ids ...string) { s.basic.MarkUsed(ids...) }

// markNames is MarkUsed for images of which only the names are known.
func (s *Store) markNames(names []string) {
	for _, name := range names {
		if img, err := s.storage.Image(name); err == nil {
			s.MarkUsed(img.ID)
		}
	}
}

// LastUsed is when pod last used an image. One that pod never used, because
// another tool brought it, counts as used when it came.
func (s *Store) LastUsed(id string, created time.Time) time.Time {
	root := s.storage.Root()
	if used := lastuse.Of(root, id); !used.IsZero() {
		return used
	}
	if info, err := os.Lstat(filepath.Join(root, s.storage.Driver()+"-images", id)); err == nil {
		return info.ModTime()
	}
	return created
}

// forgetUses drops what is noted of images that are gone.
func (s *Store) forgetUses() {
	images, err := s.storage.Images()
	if err != nil {
		return
	}
	here := make(map[string]bool, len(images))
	for i := range images {
		here[images[i].ID] = true
	}
	lastuse.Keep(s.storage.Root(), func(id string) bool { return here[id] })
}

// unusedSince says whether an image was not used for that long.
func (s *Store) unusedSince(img *cstorage.Image, span time.Duration) bool {
	return time.Since(s.LastUsed(img.ID, img.Created)) >= span
}

package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/pkg/libartifact"

	"github.com/rootless-pod/pod/internal/heldir"
	"github.com/rootless-pod/pod/internal/step"
)

const (
	// stagePrefix begins the names of staging directories, beside the layout's
	// blobs, so that files move between them by a rename.
	stagePrefix = "pod-stage-"
	// journalFile names, in a staging directory, the blobs of the layout that are
	// being added or removed, one a line. Whoever finds it behind a dead process
	// removes those that no artifact has.
	journalFile = "journal"
)

// stage is a layout of this command alone.
type stage struct {
	*heldir.Dir
	store *libartifact.ArtifactStore
}

// stage makes one, and removes what dead processes left.
func (s *Store) stage() (*stage, error) {
	if err := os.MkdirAll(filepath.Join(s.root, imgspec.ImageBlobsDir), 0o700); err != nil {
		return nil, err
	}
	s.sweep()
	dir, err := heldir.New(s.root, stagePrefix)
	if err != nil {
		return nil, err
	}
	sys, err := s.images.SystemContext()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	store, err := libartifact.NewArtifactStore(dir.Path(), sys)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &stage{Dir: dir, store: store}, nil
}

// Sweep undoes what killed commands have begun.
func (s *Store) Sweep() {
	if _, err := os.Lstat(s.root); err == nil {
		s.sweep()
	}
}

func (s *Store) sweep() {
	heldir.Sweep(s.root, stagePrefix, func(dir string) error {
		return s.locked(func(index *imgspec.Index) error {
			raw, err := readFile(filepath.Join(dir, journalFile), maxIndex)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			var blobs []digest.Digest
			for line := range strings.FieldsSeq(string(raw)) {
				blobs = append(blobs, digest.Digest(line))
			}
			return s.removeUnused(index, blobs)
		})
	})
	// A file of the index that was not yet renamed.
	left, _ := filepath.Glob(filepath.Join(s.root, stagePrefix+"file-*"))
	if len(left) == 0 {
		return
	}
	_ = s.locked(func(*imgspec.Index) error {
		for _, path := range left {
			_ = os.Remove(path)
		}
		return nil
	})
}

// journal writes down which blobs of the layout are about to come or go.
func (s *Store) journal(st *heldir.Dir, blobs []digest.Digest) error {
	var text strings.Builder
	for _, d := range blobs {
		text.WriteString(d.String() + "\n")
	}
	path := filepath.Join(st.Path(), journalFile)
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return err
	}
	return errors.Join(syncPath(path), syncPath(st.Path()), syncPath(s.root))
}

// removeUnused removes those blobs that no artifact of the index has. If one of them
// cannot be read nobody knows what it has, and everything stays.
func (s *Store) removeUnused(index *imgspec.Index, blobs []digest.Digest) error {
	used := map[digest.Digest]bool{}
	for i := range index.Manifests {
		d := index.Manifests[i].Digest
		m, err := readManifest(s.root, d)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			s.log.Warn("artifact " + nameOf(&index.Manifests[i]) + ": " + err.Error())
			return nil //nolint:nilerr // said, and nothing was done
		}
		for _, blob := range blobsOf(d, m) {
			used[blob] = true
		}
	}
	var errs []error
	for _, d := range blobs {
		path, err := blobPath(s.root, d)
		if err != nil || used[d] {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// seed puts an artifact into the stage under a name, with its files if they are
// needed there.
func (s *Store) seed(st *stage, name string, a *Artifact, files bool) error {
	blobs := []digest.Digest{a.Digest}
	if files {
		blobs = blobsOf(a.Digest, a.Manifest)
	}
	for _, d := range blobs {
		from, err := blobPath(s.root, d)
		if err != nil {
			return err
		}
		to, _ := blobPath(st.Path(), d)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.Link(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	path, _ := blobPath(s.root, a.Digest)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeIndex(st.Path(), &imgspec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: imgspec.MediaTypeImageIndex,
		Manifests: []imgspec.Descriptor{{
			MediaType: imgspec.MediaTypeImageManifest, Digest: a.Digest, Size: info.Size(),
			Annotations: map[string]string{imgspec.AnnotationRefName: name},
		}},
	})
}

// publish brings the artifact called name from the stage to all others, in the place
// of one that has the name. allow is asked under the lock whether it may; it gets the
// entry of that one, or nil.
func (s *Store) publish(ctx context.Context, st *stage, name string, allow func(*imgspec.Descriptor) error) error {
	staged, err := readIndex(st.Path())
	if err != nil {
		return err
	}
	at := slices.IndexFunc(staged.Manifests, func(d imgspec.Descriptor) bool { return nameOf(&d) == name })
	if at < 0 {
		return fmt.Errorf("nothing called %s was written", name)
	}
	entry := staged.Manifests[at]
	m, err := readManifest(st.Path(), entry.Digest)
	if err != nil {
		return err
	}
	blobs := blobsOf(entry.Digest, m)
	return s.locked(func(index *imgspec.Index) error {
		var old *imgspec.Descriptor
		if i := slices.IndexFunc(index.Manifests, func(d imgspec.Descriptor) bool { return nameOf(&d) == name }); i >= 0 {
			old = &index.Manifests[i]
		}
		if err := allow(old); err != nil {
			return err
		}
		doubtful := slices.Clone(blobs)
		if old != nil {
			if before, err := readManifest(s.root, old.Digest); err == nil {
				doubtful = append(doubtful, blobsOf(old.Digest, before)...)
			}
		}
		if err := s.journal(st.Dir, doubtful); err != nil {
			return err
		}
		if err := step.Do(ctx, "artifact.blobs", func() error { return s.take(st, blobs) }); err != nil {
			return errors.Join(err, s.removeUnused(index, blobs))
		}
		before := &imgspec.Index{Manifests: slices.Clone(index.Manifests)}
		index.Manifests = slices.DeleteFunc(index.Manifests, func(d imgspec.Descriptor) bool {
			return nameOf(&d) == name || nameOf(&d) == "" && d.Digest == entry.Digest
		})
		index.Manifests = append(index.Manifests, entry)
		if err := step.Do(ctx, "artifact.index", func() error { return writeIndex(s.root, index) }); err != nil {
			return errors.Join(err, s.removeUnused(before, blobs))
		}
		return s.removeUnused(index, doubtful)
	})
}

// take moves blobs from the stage into the layout. Those that are not in the stage
// must be there already.
func (s *Store) take(st *stage, blobs []digest.Digest) error {
	dirs := map[string]bool{}
	for _, d := range blobs {
		from, err := blobPath(st.Path(), d)
		if err != nil {
			return err
		}
		to, _ := blobPath(s.root, d)
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := syncPath(from); err != nil {
			return err
		}
		if err := os.Rename(from, to); err != nil {
			return err
		}
		dirs[filepath.Dir(to)] = true
	}
	for dir := range dirs {
		if err := syncPath(dir); err != nil {
			return err
		}
	}
	return nil
}

// drop takes entries that choose picks out of the index, and then removes what only
// they had.
func (s *Store) drop(ctx context.Context, choose func(*imgspec.Index) ([]imgspec.Descriptor, error)) (gone []digest.Digest, err error) {
	entries, err := s.index()
	if err != nil {
		return nil, err
	}
	if _, err := choose(entries); err != nil {
		return nil, err
	}
	if len(entries.Manifests) == 0 {
		return nil, nil
	}
	dir, err := heldir.New(s.root, stagePrefix)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	err = s.locked(func(index *imgspec.Index) error {
		chosen, err := choose(index)
		if err != nil {
			return err
		}
		chosen = slices.Clone(chosen)
		var blobs []digest.Digest
		for i := range chosen {
			blobs = append(blobs, chosen[i].Digest)
			if m, err := readManifest(s.root, chosen[i].Digest); err == nil {
				blobs = append(blobs, blobsOf(chosen[i].Digest, m)...)
			}
		}
		if err := s.journal(dir, blobs); err != nil {
			return err
		}
		index.Manifests = slices.DeleteFunc(index.Manifests, func(d imgspec.Descriptor) bool {
			return slices.ContainsFunc(chosen, func(c imgspec.Descriptor) bool { return c.Digest == d.Digest && nameOf(&c) == nameOf(&d) })
		})
		if err := step.Do(ctx, "artifact.index", func() error { return writeIndex(s.root, index) }); err != nil {
			return err
		}
		for i := range chosen {
			gone = append(gone, chosen[i].Digest)
		}
		return step.Do(ctx, "artifact.remove", func() error { return s.removeUnused(index, blobs) })
	})
	return gone, err
}

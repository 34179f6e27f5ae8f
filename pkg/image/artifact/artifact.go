// Package artifact owns OCI artifacts: files with a type, kept and shared as images
// are. They lie in the field's place and format, an OCI layout below the graph root,
// and are brought from and to registries by common/libartifact.
//
// Files are added and pulled into a staging directory; what is complete there is
// moved into the layout, whose index changes by one rename. So no lock is held while
// data flows, and a kill leaves nothing but a staging directory, which says what was
// begun, and which the next command that writes removes.
package artifact

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/pkg/libartifact"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"

	"github.com/rootless-pod/pod/pkg/image"
)

var (
	// ErrUnknown means that no local artifact answers to a name.
	ErrUnknown = errors.New("artifact does not exist")
	// ErrExists means that the name is taken.
	ErrExists = errors.New("artifact already exists")
)

// Store is the artifacts of a user.
type Store struct {
	root   string
	images *image.Store
	log    *slog.Logger
}

// New returns the artifacts beside images. It reads nothing.
func New(images *image.Store, log *slog.Logger) *Store {
	return &Store{root: filepath.Join(images.Storage().Root(), "artifacts"), images: images, log: log}
}

// Artifact is a local artifact.
type Artifact struct {
	// Manifest lists its files as layers.
	Manifest *manifest.OCI1
	// Name is its full name, Digest that of the manifest.
	Name   string
	Digest digest.Digest
}

// TotalSizeBytes is how much its files take.
func (a *Artifact) TotalSizeBytes() int64 {
	var sum int64
	for _, layer := range a.Manifest.Layers {
		sum += layer.Size
	}
	return sum
}

// Created is when it was made, as it says itself; zero if it does not.
func (a *Artifact) Created() time.Time {
	at, err := time.Parse(time.RFC3339Nano, a.Manifest.Annotations[imgspec.AnnotationCreated])
	if err != nil {
		return time.Time{}
	}
	return at
}

// List returns the local artifacts. One that cannot be read is left out, with a
// warning.
func (s *Store) List(ctx context.Context) ([]*Artifact, error) {
	entries, err := s.index()
	if err != nil {
		return nil, err
	}
	var out []*Artifact
	for i := 0; i < len(entries.Manifests); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a, err := s.read(&entries.Manifests[i])
		if now := s.since(entries, err); now != nil {
			entries, out, i = now, nil, -1
			continue
		}
		if err != nil {
			s.log.Warn("artifact " + nameOf(&entries.Manifests[i]) + ": " + err.Error())
			continue
		}
		out = append(out, a)
	}
	return out, nil
}

// Find finds a local artifact by its name, or by the beginning of its digest.
func (s *Store) Find(_ context.Context, name string) (*Artifact, error) {
	entries, err := s.index()
	for err == nil {
		entry, err := find(entries, name)
		if err != nil {
			return nil, err
		}
		a, err := s.read(entry)
		if err == nil {
			return a, nil
		}
		if entries = s.since(entries, err); entries == nil {
			return nil, &image.Error{Name: name, Reason: "the artifact is damaged: " + err.Error(), Hint: "remove and pull or add it again", Err: err}
		}
	}
	return nil, err
}

// since returns the index as it is now, if err says that something was gone and
// another command has changed the index after entries was read; else nil. Reading
// takes no lock, so what an entry names may be removed before it is opened.
func (s *Store) since(entries *imgspec.Index, err error) *imgspec.Index {
	if !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	now, err := s.index()
	if err != nil || reflect.DeepEqual(now, entries) {
		return nil
	}
	return now
}

// using finds an artifact and runs use with it, again if another command has
// replaced the artifact below it.
func (s *Store) using(ctx context.Context, name string, use func(*Artifact) error) error {
	for range usingTries {
		a, err := s.Find(ctx, name)
		if err != nil {
			return err
		}
		err = use(a)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if !s.replaced(ctx, name, a) {
			return err
		}
	}
	return changed(name)
}

// replaced says whether another command has put another artifact in the place of a.
func (s *Store) replaced(ctx context.Context, name string, a *Artifact) bool {
	now, err := s.Find(ctx, name)
	return err == nil && now.Digest != a.Digest
}

// find looks a name up in the index: as it was stored, as a full name, by a digest.
func find(entries *imgspec.Index, name string) (*imgspec.Descriptor, error) {
	unknown := &image.Error{Name: name, Reason: ErrUnknown.Error(), Hint: "`pod artifact ls` lists those here", Err: ErrUnknown}
	if strings.TrimPrefix(name, "sha256:") == "" {
		return nil, unknown
	}
	wanted := []string{name}
	var repository, byDigest string
	if named, err := reference.ParseNamed(name); err == nil {
		wanted = append(wanted, reference.TagNameOnly(named).String())
		if digested, ok := named.(reference.Digested); ok {
			repository, byDigest = named.Name(), digested.Digest().String()
		}
	}
	for _, want := range wanted {
		for i := range entries.Manifests {
			if nameOf(&entries.Manifests[i]) == want {
				return &entries.Manifests[i], nil
			}
		}
	}
	var hits []*imgspec.Descriptor
	for i := range entries.Manifests {
		entry := &entries.Manifests[i]
		if entry.Digest.Validate() != nil {
			continue
		}
		stored, _ := reference.ParseNormalizedNamed(nameOf(entry))
		switch {
		case byDigest != "" && entry.Digest.String() == byDigest && stored != nil && stored.Name() == repository,
			byDigest == "" && strings.HasPrefix(entry.Digest.Encoded(), strings.TrimPrefix(name, "sha256:")):
			hits = append(hits, entry)
		}
	}
	switch len(hits) {
	case 0:
		return nil, unknown
	case 1:
		return hits[0], nil
	}
	return nil, &image.Error{Name: name, Reason: "several artifacts have a digest that begins so", Hint: "name one of them"}
}

// full is the full name of an artifact that is to be made.
func full(name string) (libartifact.ArtifactReference, error) {
	ref, err := libartifact.NewArtifactReference(name)
	switch {
	case err == nil:
		return ref, nil
	case errors.Is(err, reference.ErrNameNotCanonical):
		return ref, &image.Error{Name: name, Reason: "an artifact needs a full name", Hint: "for example localhost/" + name, Err: err}
	}
	return ref, image.Explain(name, err)
}

// nameOf is the name in an entry of the index.
func nameOf(entry *imgspec.Descriptor) string {
	return entry.Annotations[imgspec.AnnotationRefName]
}

// RemoveOptions are those of Remove.
type RemoveOptions struct {
	// All removes every artifact; names must be empty then.
	All bool
	// Ignore makes a missing artifact no error.
	Ignore bool
}

// Remove removes artifacts and returns the digests of those that are gone, also
// when it fails for others.
func (s *Store) Remove(ctx context.Context, names []string, opts RemoveOptions) ([]digest.Digest, []error) {
	s.Sweep()
	var removed []digest.Digest
	var errs []error
	if opts.All {
		gone, err := s.drop(ctx, func(entries *imgspec.Index) ([]imgspec.Descriptor, error) { return entries.Manifests, nil })
		if err != nil {
			errs = append(errs, err)
		}
		return gone, errs
	}
	for _, name := range names {
		gone, err := s.drop(ctx, func(entries *imgspec.Index) ([]imgspec.Descriptor, error) {
			entry, err := find(entries, name)
			if err != nil {
				return nil, err
			}
			return []imgspec.Descriptor{*entry}, nil
		})
		removed = append(removed, gone...)
		if err != nil && (!opts.Ignore || !errors.Is(err, ErrUnknown)) {
			errs = append(errs, err)
		}
	}
	return removed, errs
}

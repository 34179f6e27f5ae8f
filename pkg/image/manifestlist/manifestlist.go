// Package manifestlist owns lists of images for several platforms (docker's
// manifest lists, OCI's image indexes): making and changing them in the image
// store. What a list is on disk and at a registry is common/libimage's; bringing one
// to a registry is pkg/image's.
package manifestlist

import (
	"context"
	"errors"

	"go.podman.io/common/libimage"
	"go.podman.io/common/libimage/manifests"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/image"
)

// Store is the lists of a store of images.
type Store struct{ images *image.Store }

// New returns the lists of images. It reads nothing.
func New(images *image.Store) *Store { return &Store{images: images} }

// CreateOptions are those of Create.
type CreateOptions struct {
	image.Access
	// All adds every image of a list, not only the one for this machine.
	All bool
	// Amend adds to a list of that name if there is one.
	Amend bool
	// Annotations are of the list itself.
	Annotations map[string]string
}

// Create makes a list of images and returns its id. Nothing is made unless all of
// them could be added.
func (s *Store) Create(ctx context.Context, name string, names []string, opts CreateOptions) (string, error) {
	lib, layers, err := s.images.Writer()
	if err != nil {
		return "", err
	}
	named, err := libimage.NormalizeName(name)
	if err != nil {
		return "", image.Explain(name, err)
	}
	fill := func(list manifests.List) error {
		for _, member := range names {
			if _, err := s.add(ctx, lib, list, member, AddOptions{Access: opts.Access, All: opts.All}); err != nil {
				return err
			}
		}
		if len(opts.Annotations) == 0 {
			return nil
		}
		return list.SetAnnotations(nil, opts.Annotations)
	}
	if opts.Amend {
		id, err := s.edit(ctx, name, fill)
		if !errors.Is(err, image.ErrNoImage) {
			return id, err
		}
	}
	if used, _, err := lib.LookupImage(named.String(), &libimage.LookupImageOptions{ManifestList: true}); err == nil {
		return "", &image.Error{
			Name: named.String(), Err: cstorage.ErrDuplicateName, Hint: "use --amend to add to a list, or another name",
			Reason: "that name is already in use by " + used.ID(),
		}
	}
	list := manifests.Create()
	if err := fill(list); err != nil {
		return "", err
	}
	mime := "" // what the list needs
	if len(names) == 0 && len(opts.Annotations) == 0 {
		mime = manifest.DockerV2ListMediaType
	}
	store, err := layers.Library()
	if err != nil {
		return "", err
	}
	id := ""
	err = step.Do(ctx, "manifest.create", func() (err error) {
		id, err = list.SaveToImage(store, "", []string{named.String()}, mime)
		return err
	})
	return id, image.Explain(named.String(), err)
}

// edit changes the list called name: what f does to it is saved at once, if f
// returns nil. Others wait meanwhile. It returns the list's id.
func (s *Store) edit(ctx context.Context, name string, f func(manifests.List) error) (string, error) {
	lib, layers, err := s.images.Writer()
	if err != nil {
		return "", err
	}
	found, err := lookup(lib, name)
	if err != nil {
		return "", err
	}
	store, err := layers.Library()
	if err != nil {
		return "", err
	}
	id := found.ID()
	lock, err := manifests.LockerForImage(store, id)
	if err != nil {
		return "", image.Explain(name, err)
	}
	lock.Lock()
	defer lock.Unlock()
	_, list, err := manifests.LoadFromImage(store, id)
	if err != nil {
		return "", image.Explain(name, err)
	}
	if err := f(list); err != nil {
		return "", err
	}
	return id, image.Explain(name, step.Do(ctx, "manifest.save", func() error {
		_, err := list.SaveToImage(store, id, nil, "")
		return err
	}))
}

// lookup finds a local list.
func lookup(lib *libimage.Runtime, name string) (*libimage.ManifestList, error) {
	list, err := lib.LookupManifestList(name)
	if errors.Is(err, libimage.ErrNotAManifestList) || name != "" && isImage(lib, name, err) {
		return nil, &image.Error{Name: name, Reason: "image is not a manifest list", Err: libimage.ErrNotAManifestList}
	}
	if err != nil {
		return nil, image.Explain(name, err)
	}
	return list, nil
}

// isImage says that err, of a look for a list, is about an image that is none: the
// library does not find what a pull has left of a list, its own record apart.
func isImage(lib *libimage.Runtime, name string, err error) bool {
	if err == nil || errors.Is(err, cstorage.ErrImageUnknown) {
		return false
	}
	_, _, lookErr := lib.LookupImage(name, nil)
	return lookErr == nil
}

// Exists says whether a local list answers to name; a plain image is an error.
func (s *Store) Exists(name string) (bool, error) {
	lib, err := s.images.Reader()
	if err != nil {
		return false, err
	}
	_, err = lookup(lib, name)
	if errors.Is(err, image.ErrNoImage) {
		return false, nil
	}
	return err == nil, err
}

// system are the settings for a registry, with those of access.
func (s *Store) system(access image.Access) (*types.SystemContext, error) {
	sys, err := s.images.SystemContext()
	if err != nil {
		return nil, err
	}
	image.ApplyAccess(&access, sys)
	return sys, nil
}

// problem says what is wrong with an instance.
func problem(name, reason string, err error) error {
	return &image.Error{Name: name, Reason: reason, Err: err}
}

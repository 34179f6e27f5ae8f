package manifestlist

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"

	"github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage"
	"go.podman.io/common/libimage/manifests"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/types"

	podimage "github.com/rootless-pod/pod/pkg/image"
)

// AnnotateOptions are those of Annotate.
type AnnotateOptions struct {
	// Index changes what the list says of itself: Annotations and Subject.
	Index bool
	// Instance is what is to be said.
	Instance Instance
	// Subject is an image or a list that this one is about.
	Subject string
}

// Annotate changes what the list called name says of itself or of a member: a digest,
// an image, or a file of an artifact. It returns the list's id.
func (s *Store) Annotate(ctx context.Context, name, mentioned string, opts AnnotateOptions) (string, error) {
	if opts.Index && !opts.Instance.onlyAnnotations() {
		return "", errors.New("--arch, --features, --os, --os-features, --os-version and --variant are said of a member of the list: leave out --index and name it")
	}
	if !opts.Index && opts.Subject != "" {
		return "", errors.New("--subject is said of the list itself: use it with --index")
	}
	lib, _, err := s.images.Writer()
	if err != nil {
		return "", err
	}
	sys, err := s.system(podimage.Access{})
	if err != nil {
		return "", err
	}
	var subject *imgspec.Descriptor
	if opts.Subject != "" {
		if subject, err = describe(ctx, lib, sys, opts.Subject); err != nil {
			return "", err
		}
	}
	return s.edit(ctx, name, func(list manifests.List) error {
		if !opts.Index {
			entry, err := member(list, mentioned, func() ([]digest.Digest, error) { return digestsOf(ctx, lib, sys, mentioned) })
			if err != nil {
				return err
			}
			return opts.Instance.apply(list, entry)
		}
		if len(opts.Instance.Annotations) > 0 {
			if err := list.SetAnnotations(nil, opts.Instance.Annotations); err != nil {
				return err
			}
		}
		if subject == nil {
			return nil
		}
		return list.SetSubject(subject)
	})
}

// onlyAnnotations says that nothing is said of a platform.
func (i Instance) onlyAnnotations() bool {
	return i.Arch == "" && i.OS == "" && i.OSVersion == "" && i.Variant == "" && len(i.Features) == 0 && len(i.OSFeatures) == 0
}

// describe makes a descriptor of an image or a list.
func describe(ctx context.Context, lib *libimage.Runtime, sys *types.SystemContext, name string) (*imgspec.Descriptor, error) {
	ref, err := resolve(ctx, lib, sys, name, true)
	if err != nil {
		return nil, err
	}
	raw, mime, err := readManifest(ctx, sys, ref)
	if err != nil {
		return nil, podimage.Explain(name, err)
	}
	d, err := manifest.Digest(raw)
	if err != nil {
		return nil, podimage.Explain(name, err)
	}
	out := &imgspec.Descriptor{MediaType: mime, Digest: d, Size: int64(len(raw))}
	var typed imgspec.Manifest
	if !manifest.MIMETypeIsMultiImage(mime) && json.Unmarshal(raw, &typed) == nil {
		out.ArtifactType = typed.ArtifactType
	}
	return out, nil
}

// readManifest reads the manifest that a reference leads to.
func readManifest(ctx context.Context, sys *types.SystemContext, ref types.ImageReference) (raw []byte, mime string, err error) {
	src, err := ref.NewImageSource(ctx, sys)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	return image.UnparsedInstance(src, nil).Manifest(ctx)
}

// member finds the entry of a list that the user means: by its digest, by a file of
// an artifact, or by an image, whose digests look gives.
func member(list manifests.List, mentioned string, look func() ([]digest.Digest, error)) (digest.Digest, error) {
	digests := []digest.Digest{digest.Digest(mentioned)}
	if digests[0].Validate() != nil {
		if d, err := list.InstanceByFile(mentioned); err == nil {
			digests = append(digests, d)
		}
	}
	has := func(d digest.Digest) bool { return slices.Contains(list.Instances(), d) }
	if at := slices.IndexFunc(digests, has); at >= 0 {
		return digests[at], nil
	}
	if digests[0].Validate() != nil {
		var err error
		if digests, err = look(); err != nil {
			return "", err
		}
		if at := slices.IndexFunc(digests, has); at >= 0 {
			return digests[at], nil
		}
	}
	return "", problem(mentioned, "no image instance matching it was found in the list", os.ErrNotExist)
}

// digestsOf are the digests by which a list may have an image: those of a local one,
// or that at the registry.
func digestsOf(ctx context.Context, lib *libimage.Runtime, sys *types.SystemContext, name string) ([]digest.Digest, error) {
	if img, _, err := lib.LookupImage(name, nil); err == nil {
		return append(img.Digests(), img.Digest()), nil
	}
	entry, err := describe(ctx, lib, sys, name)
	if err != nil {
		return nil, err
	}
	return []digest.Digest{entry.Digest}, nil
}

// RemoveMember takes the member with a digest out of the list called name, and
// returns the list's id.
func (s *Store) RemoveMember(ctx context.Context, name, entry string) (string, error) {
	d, err := digest.Parse(entry)
	if err != nil {
		return "", problem(entry, "invalid image digest", err)
	}
	return s.edit(ctx, name, func(list manifests.List) error {
		err := list.Remove(d)
		if errors.Is(err, os.ErrNotExist) {
			return problem(name, "no instance matching digest "+entry+" is in the list", err)
		}
		return err
	})
}

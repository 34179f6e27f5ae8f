package manifestlist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage"
	"go.podman.io/common/libimage/manifests"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/image"
)

// maxConfig bounds the configuration of an artifact, which the list's record holds.
const maxConfig = 4 << 20

// Instance is what a list says of one of its images. Empty fields change nothing.
type Instance struct {
	Annotations                  map[string]string
	Arch, OS, OSVersion, Variant string
	Features, OSFeatures         []string
}

// apply writes it into the entry of an image.
func (i Instance) apply(list manifests.List, entry digest.Digest) error {
	for _, field := range []struct {
		value string
		set   func(digest.Digest, string) error
	}{
		{i.OS, list.SetOS}, {i.OSVersion, list.SetOSVersion}, {i.Arch, list.SetArchitecture},
	} {
		if field.value == "" {
			continue
		}
		if err := field.set(entry, field.value); err != nil {
			return err
		}
	}
	if i.Arch != "" || i.Variant != "" { // a variant belongs to its architecture
		if err := list.SetVariant(entry, i.Variant); err != nil {
			return err
		}
	}
	if len(i.Features) > 0 {
		if err := list.SetFeatures(entry, i.Features); err != nil {
			return err
		}
	}
	if len(i.OSFeatures) > 0 {
		if err := list.SetOSFeatures(entry, i.OSFeatures); err != nil {
			return err
		}
	}
	if len(i.Annotations) > 0 {
		return list.SetAnnotations(&entry, i.Annotations)
	}
	return nil
}

// AddOptions are those of Add.
type AddOptions struct {
	image.Access
	// All adds every image of a list, not only the one for this machine.
	All bool
	// Instance is what the list is to say of the image; of several, of the first.
	Instance Instance
}

// Add adds images to the list called name and returns its id. All are added, or
// none.
func (s *Store) Add(ctx context.Context, name string, members []string, opts AddOptions) (string, error) {
	lib, _, err := s.images.Writer()
	if err != nil {
		return "", err
	}
	return s.edit(ctx, name, func(list manifests.List) error {
		for _, member := range members {
			entry, err := s.add(ctx, lib, list, member, opts)
			if err != nil {
				return err
			}
			if err := opts.Instance.apply(list, entry); err != nil {
				return problem(member, err.Error(), err)
			}
		}
		return nil
	})
}

// add adds one image.
func (s *Store) add(ctx context.Context, lib *libimage.Runtime, list manifests.List, name string, opts AddOptions) (digest.Digest, error) {
	sys, err := s.system(opts.Access)
	if err != nil {
		return "", err
	}
	ref, err := resolve(ctx, lib, sys, name, false)
	if err != nil {
		return "", err
	}
	entry, err := list.Add(ctx, sys, ref, opts.All)
	return entry, image.Explain(name, err)
}

// ArtifactOptions are those of AddArtifact.
type ArtifactOptions struct {
	image.Access
	// Type is the artifact's; nil is that of an unknown one.
	Type *string
	// Config is a file with the artifact's configuration, ConfigType its type;
	// LayerType that of the files, found out when empty.
	Config, ConfigType, LayerType string
	// ExcludeTitles keeps the names of the files out of the manifest.
	ExcludeTitles bool
	// Subject is an image that the artifact is about.
	Subject string
	// Instance is what the list is to say of it; its annotations are the artifact's
	// own too.
	Instance Instance
}

// AddArtifact makes an artifact of files, adds it to the list called name and returns
// the list's id. The files stay where they are, and are read when the list is pushed.
func (s *Store) AddArtifact(ctx context.Context, name string, files []string, opts ArtifactOptions) (string, error) {
	lib, _, err := s.images.Writer()
	if err != nil {
		return "", err
	}
	library, err := s.artifact(ctx, lib, files, opts)
	if err != nil {
		return "", err
	}
	sys, err := s.system(opts.Access)
	if err != nil {
		return "", err
	}
	return s.edit(ctx, name, func(list manifests.List) error {
		entry, err := list.AddArtifact(ctx, sys, library, files...)
		if err != nil {
			return image.Explain(name, err)
		}
		return opts.Instance.apply(list, entry)
	})
}

// artifact turns the options into the library's.
func (s *Store) artifact(ctx context.Context, lib *libimage.Runtime, files []string, opts ArtifactOptions) (manifests.AddArtifactOptions, error) {
	out := manifests.AddArtifactOptions{
		ManifestArtifactType: opts.Type, Annotations: opts.Instance.Annotations, ExcludeTitles: opts.ExcludeTitles,
	}
	for _, file := range files {
		if _, err := readFile(file, 0); err != nil {
			return out, err
		}
	}
	if opts.LayerType != "" {
		out.LayerMediaType = &opts.LayerType
	}
	config := imgspec.DescriptorEmptyJSON
	config.Data = slices.Clone(config.Data)
	if opts.Config != "" {
		data, err := readFile(opts.Config, maxConfig)
		if err != nil {
			return out, err
		}
		if len(data) == 0 {
			return out, fmt.Errorf("--artifact-config %s: the file is empty", opts.Config)
		}
		config = imgspec.Descriptor{
			MediaType: imgspec.MediaTypeImageConfig, Digest: digest.FromBytes(data), Size: int64(len(data)), Data: data,
		}
	}
	if opts.ConfigType != "" {
		config.MediaType = opts.ConfigType
	}
	out.ConfigDescriptor = &config
	if opts.Subject == "" {
		return out, nil
	}
	sys, err := s.system(opts.Access)
	if err != nil {
		return out, err
	}
	out.SubjectReference, err = resolve(ctx, lib, sys, opts.Subject, true)
	return out, err
}

// readFile reads at most limit bytes of a regular file; with 0 it only makes sure
// that it is one. A FIFO would not be waited for.
func readFile(path string, limit int64) (data []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, image.Explain(path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, image.Explain(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, problem(path, "not a regular file", nil)
	}
	if limit == 0 {
		return nil, nil
	}
	if info.Size() > limit {
		return nil, problem(path, fmt.Sprintf("larger than %d MiB", limit>>20), nil)
	}
	data, err = io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, image.Explain(path, err)
	}
	return data, nil
}

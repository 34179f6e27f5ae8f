package manifestlist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/libimage"
	libmanifests "go.podman.io/common/pkg/manifests"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"

	"github.com/rootless-pod/pod/internal/strictjson"
	"github.com/rootless-pod/pod/pkg/image"
)

// resolve finds the image that a user means: with a transport what it says; else,
// as the field does, the image at the registry in its name, or a local one. A local
// image called localhost/… comes first: nobody means a registry there.
func resolve(ctx context.Context, lib *libimage.Runtime, sys *types.SystemContext, name string, wholeList bool) (types.ImageReference, error) {
	if ref, err := alltransports.ParseImageName(name); err == nil {
		return checked{ref}, nil
	}
	look := func() (types.ImageReference, error) {
		img, _, err := lib.LookupImage(name, &libimage.LookupImageOptions{ManifestList: wholeList})
		if err != nil {
			return nil, err
		}
		ref, err := img.StorageReference()
		if err != nil {
			return nil, err
		}
		return checked{ref}, nil
	}
	if strings.HasPrefix(name, "localhost/") {
		if ref, err := look(); err == nil {
			return ref, nil
		}
	}
	remote, err := alltransports.ParseImageName("docker://" + name)
	if err == nil {
		var src types.ImageSource
		if src, err = remote.NewImageSource(ctx, sys); err == nil {
			return checked{remote}, src.Close()
		}
	}
	ref, localErr := look()
	if localErr == nil {
		return ref, nil
	}
	var plain *image.Error
	reason := "no local image answers to the name"
	if errors.As(image.Explain(name, err), &plain) {
		return nil, &image.Error{Name: name, Reason: reason + " (image not known); " + plain.Reason, Hint: plain.Hint, Err: errors.Join(localErr, err)}
	}
	return nil, image.Explain(name, err)
}

// checked is a reference whose manifests are looked at before they are believed.
type checked struct{ types.ImageReference }

// NewImageSource opens the image.
func (c checked) NewImageSource(ctx context.Context, sys *types.SystemContext) (types.ImageSource, error) {
	src, err := c.ImageReference.NewImageSource(ctx, sys)
	if err != nil {
		return nil, err
	}
	return &checkedSource{ImageSource: src, sizes: map[digest.Digest]int64{}}, nil
}

// checkedSource refuses manifests that two readers would understand differently, and
// those that are not what the list above them says. That the digests are right is
// checked by the library.
type checkedSource struct {
	types.ImageSource
	// sizes are those that the list gives.
	sizes map[digest.Digest]int64
}

// GetManifest reads a manifest.
func (c *checkedSource) GetManifest(ctx context.Context, instance *digest.Digest) ([]byte, string, error) {
	raw, mime, err := c.ImageSource.GetManifest(ctx, instance)
	if err != nil {
		return nil, "", err
	}
	if err := examine(raw, mime); err != nil {
		return nil, "", err
	}
	if instance != nil {
		if size, known := c.sizes[*instance]; known && size != int64(len(raw)) {
			return nil, "", fmt.Errorf("the manifest %s has %d bytes, the list says %d", *instance, len(raw), size)
		}
		return raw, mime, nil
	}
	if manifest.MIMETypeIsMultiImage(manifest.NormalizedMIMEType(mime)) {
		list, err := libmanifests.FromBlob(raw)
		if err != nil {
			return nil, "", err
		}
		for _, entry := range list.OCIv1().Manifests {
			if err := entry.Digest.Validate(); err != nil {
				return nil, "", fmt.Errorf("the list names a manifest by %q, which is no digest: %w", entry.Digest, err)
			}
			c.sizes[entry.Digest] = entry.Size
		}
	}
	return raw, mime, nil
}

// examine refuses a manifest that is ambiguous, or not of the type it was sent as.
func examine(raw []byte, mime string) error {
	if err := strictjson.Unambiguous(raw); err != nil {
		return fmt.Errorf("the manifest is refused: %w", err)
	}
	var doc struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil || doc.SchemaVersion == 0 {
		return errors.New("the manifest is refused: it has no schemaVersion")
	}
	sent, is := manifest.NormalizedMIMEType(mime), manifest.GuessMIMEType(raw)
	if sent != "" && is != "" && manifest.MIMETypeIsMultiImage(sent) != manifest.MIMETypeIsMultiImage(is) {
		return fmt.Errorf("the manifest is refused: it was sent as %s, but is %s", sent, is)
	}
	return nil
}

// Package bundle puts together the OCI documents of an image that comes with
// pod. The same layer and configuration give the same bytes, and so the same id.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is an embedded image of one layer.
type Image struct {
	// Name is the image's name in the store.
	Name string
	// ID is the digest of Config, in hexadecimal, as the store names images.
	ID string
	// Config and Manifest are the OCI documents.
	Config, Manifest []byte
	// Layer is the only layer, an uncompressed archive; DiffID its digest.
	Layer  []byte
	DiffID digest.Digest
}

// New makes the image of a layer for this machine's processor.
func New(name string, layer []byte, config imagespec.ImageConfig) (Image, error) {
	img := Image{Name: name, Layer: layer, DiffID: digest.FromBytes(layer)}
	epoch := time.Unix(0, 0).UTC()
	var err error
	img.Config, err = json.Marshal(imagespec.Image{
		Created:  &epoch,
		Platform: imagespec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   config,
		RootFS:   imagespec.RootFS{Type: "layers", DiffIDs: []digest.Digest{img.DiffID}},
		History:  []imagespec.History{{Created: &epoch, CreatedBy: "pod", Comment: "embedded in pod"}},
	})
	if err != nil {
		return Image{}, fmt.Errorf("build image %s: %w", name, err)
	}
	sum := sha256.Sum256(img.Config)
	img.ID = hex.EncodeToString(sum[:])
	img.Manifest, err = json.Marshal(imagespec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: imagespec.MediaTypeImageManifest,
		Config: imagespec.Descriptor{
			MediaType: imagespec.MediaTypeImageConfig, Digest: digest.FromBytes(img.Config), Size: int64(len(img.Config)),
		},
		Layers: []imagespec.Descriptor{{
			MediaType: imagespec.MediaTypeImageLayer, Digest: img.DiffID, Size: int64(len(layer)),
		}},
	})
	if err != nil {
		return Image{}, fmt.Errorf("build image %s: %w", name, err)
	}
	return img, nil
}

// Package hello is the image that comes with pod: one small static program
// that prints what isolates it. It needs no registry and no network.
package hello

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Name is the image's name in the store.
const Name = "localhost/hello:latest"

// path of the program in the image.
const path = "/hello"

// program is hello.c, built by build.sh for this machine's processor.
//
//go:embed hello.bin
var program []byte

// Image is the embedded image: the same bytes, and so the same id, every time.
type Image struct {
	// ID is the digest of Config, in hexadecimal, as the store names images.
	ID string
	// Config and Manifest are the OCI documents.
	Config, Manifest []byte
	// Layer is the only layer, an uncompressed archive; DiffID its digest.
	Layer  []byte
	DiffID digest.Digest
}

// Build puts the image together.
func Build() (Image, error) {
	layer, err := archive()
	if err != nil {
		return Image{}, fmt.Errorf("build the hello image: %w", err)
	}
	img := Image{Layer: layer, DiffID: digest.FromBytes(layer)}
	epoch := time.Unix(0, 0).UTC()
	img.Config, err = json.Marshal(imagespec.Image{
		Created:  &epoch,
		Platform: imagespec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config: imagespec.ImageConfig{
			Cmd:    []string{path},
			Env:    []string{"PATH=/"},
			Labels: map[string]string{imagespec.AnnotationTitle: "hello", imagespec.AnnotationVendor: "pod"},
		},
		RootFS:  imagespec.RootFS{Type: "layers", DiffIDs: []digest.Digest{img.DiffID}},
		History: []imagespec.History{{Created: &epoch, CreatedBy: "pod", Comment: "embedded in pod"}},
	})
	if err != nil {
		return Image{}, fmt.Errorf("build the hello image: %w", err)
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
		return Image{}, fmt.Errorf("build the hello image: %w", err)
	}
	return img, nil
}

// archive is the layer: the program, and the directories that every container
// is given mounts on.
func archive() ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	epoch := time.Unix(0, 0)
	for _, dir := range []string{"dev/", "etc/", "proc/", "run/", "sys/", "tmp/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode, ModTime: epoch}); err != nil {
			return nil, err
		}
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path[1:], Mode: 0o755, Size: int64(len(program)), ModTime: epoch}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

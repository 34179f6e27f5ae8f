// Package debugtools is the image of tools that comes with pod, for `pod debug`:
// u-root's commands and mvdan.cc/sh as one static program. src builds it, as a
// module of its own; git holds the sources only.
package debugtools

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/klauspost/compress/zstd"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootless-pod/pod/pkg/image/bundle"
)

// Repository is the image's name in the store; the tag names the content, so
// that the tools of another version of pod are another image.
const Repository = "localhost/pod-debug-tools"

// maxLayer bounds what the embedded bytes may unpack to.
const maxLayer = 256 << 20

// ErrNotBuilt says that this program was built without the tools.
var ErrNotBuilt = errors.New("this pod was built without its debug tools: build it with make, or name an image with --tools")

// A directory, so that the program builds without the file too. The pages are
// read from disk only when the tools are used.
//
//go:embed embed
var files embed.FS

// Name is the image's full name. It costs reading the embedded bytes.
func Name() (string, error) {
	packed, err := packed()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(packed)
	return Repository + ":" + hex.EncodeToString(sum[:6]), nil
}

// Build unpacks the layer and puts the image together.
func Build() (bundle.Image, error) {
	packed, err := packed()
	if err != nil {
		return bundle.Image{}, err
	}
	name, err := Name()
	if err != nil {
		return bundle.Image{}, err
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxLayer), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return bundle.Image{}, fmt.Errorf("unpack the debug tools: %w", err)
	}
	defer r.Close()
	layer, err := r.DecodeAll(packed, nil)
	if err != nil {
		return bundle.Image{}, fmt.Errorf("unpack the debug tools: %w", err)
	}
	return bundle.New(name, layer, imagespec.ImageConfig{
		Cmd: []string{"/bin/sh"}, Env: []string{"PATH=/bin"}, WorkingDir: "/",
		Labels: map[string]string{imagespec.AnnotationTitle: "pod-debug-tools", imagespec.AnnotationVendor: "pod"},
	})
}

func packed() ([]byte, error) {
	data, err := files.ReadFile("embed/tools.tar.zst")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotBuilt
	}
	if err != nil {
		return nil, fmt.Errorf("read the debug tools: %w", err)
	}
	return data, nil
}

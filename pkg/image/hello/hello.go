// Package hello is the image that comes with pod: one small static program
// that prints what isolates it. It needs no registry and no network.
package hello

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"fmt"
	"time"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rootless-pod/pod/pkg/image/bundle"
)

// Name is the image's name in the store.
const Name = "localhost/hello:latest"

// path of the program in the image.
const path = "/hello"

// program is hello.c, built by build.sh for this machine's processor.
//
//go:embed hello.bin
var program []byte

// Program is the program: static, and in need of nothing but the kernel.
func Program() []byte { return program }

// Build puts the image together.
func Build() (bundle.Image, error) {
	layer, err := archive()
	if err != nil {
		return bundle.Image{}, fmt.Errorf("build the hello image: %w", err)
	}
	return bundle.New(Name, layer, imagespec.ImageConfig{
		Cmd:    []string{path},
		Env:    []string{"PATH=/"},
		Labels: map[string]string{imagespec.AnnotationTitle: "hello", imagespec.AnnotationVendor: "pod"},
	})
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

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http/httptest"
	"os"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/rootless-pod/pod/internal/testregistry"
)

// bulk is the size of the layer that makes a pull move some bytes.
const bulk = 8 << 20

// startRegistry serves two images from this process: busybox and busybox with a
// second layer of random bytes.
func startRegistry(ctx context.Context) (server *httptest.Server, small, large string, err error) {
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	base, err := busybox()
	if err != nil {
		return nil, "", "", err
	}
	img, err := addBulk(base)
	if err != nil {
		return nil, "", "", err
	}
	client := testregistry.Client(handler)
	if err := testregistry.Push(ctx, client, "registry/busybox", base); err != nil {
		return nil, "", "", err
	}
	if err := testregistry.Push(ctx, client, "registry/bulk", img); err != nil {
		return nil, "", "", err
	}
	server = httptest.NewServer(handler)
	address := server.Listener.Addr().String()
	return server, address + "/busybox:latest", address + "/bulk:latest", nil
}

// busybox is the host's static busybox under the names the cases use.
func busybox() (v1.Image, error) {
	binary, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, fmt.Errorf("install busybox-static: %w", err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, dir := range []string{"bin/", "etc/", "tmp/"} {
		if err := w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(binary))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(binary); err != nil {
		return nil, err
	}
	for _, applet := range []string{"sh", "true", "sleep"} {
		h := &tar.Header{Name: "bin/" + applet, Linkname: "busybox", Typeflag: tar.TypeSymlink, Mode: 0o777}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	img, err := appendLayer(empty.Image, out.Bytes())
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config = v1.Config{Cmd: []string{"sh"}, Env: []string{"PATH=/bin"}}
	return mutate.ConfigFile(img, config)
}

func addBulk(img v1.Image) (v1.Image, error) {
	data := make([]byte, bulk)
	source := rand.NewChaCha8([32]byte{1})
	if _, err := source.Read(data); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: "bulk", Mode: 0o644, Size: bulk}); err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return appendLayer(img, out.Bytes())
}

func appendLayer(img v1.Image, data []byte) (v1.Image, error) {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(img, layer)
}

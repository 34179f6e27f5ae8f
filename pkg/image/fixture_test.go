package image

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/rootless-pod/pod/internal/testregistry"
	"github.com/rootless-pod/pod/pkg/storage"
)

// newStore makes a store of its own, with its own configuration.
func newStore(t *testing.T, opts Options) *Store {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the library's drivers need root, or a user namespace")
	}
	dir := t.TempDir()
	if opts.RegistriesConf == "" {
		opts.RegistriesConf = filepath.Join(dir, "registries.conf")
		write(t, opts.RegistriesConf, "# nothing configured\n")
	}
	if opts.SignaturePolicy == "" {
		opts.SignaturePolicy = filepath.Join(dir, "policy.json")
		write(t, opts.SignaturePolicy, acceptAnything)
	}
	if opts.Authfile == "" {
		opts.Authfile = filepath.Join(dir, "auth.json")
		write(t, opts.Authfile, "{}")
	}
	layers, _, err := storage.Open(t.Context(), storage.Options{
		Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"),
		// So that the tests can be run in a user namespace too.
		Rootless: os.Getenv("_CONTAINERS_ROOTLESS_UID") != "",
	})
	if err != nil {
		t.Fatal(err)
	}
	lib, err := layers.Library()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := lib.Shutdown(true); err != nil {
			t.Error(err)
		}
		if err := layers.Close(); err != nil {
			t.Error(err)
		}
	})
	store, err := New(layers, opts)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fileLayer is a layer with one file.
func fileLayer(t *testing.T, path, text string) v1.Layer {
	t.Helper()
	raw := archiveOf(t, path, text)
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(raw)), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func archiveOf(t *testing.T, path, text string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Uid: 12, Gid: 34, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// makeImage is an image of one file, for an architecture.
func makeImage(t *testing.T, arch, text string) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, fileLayer(t, "etc/text", text))
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Config = v1.Config{
		Entrypoint: []string{"/bin/sh"}, Cmd: []string{"-c", "true"}, Env: []string{"PATH=/bin", "BROKEN", "=X", "EMPTY="},
		WorkingDir: "/srv", User: "7:8", StopSignal: "SIGINT", Labels: map[string]string{"a": "b"},
		Volumes: map[string]struct{}{"/v2": {}, "/v1": {}}, ExposedPorts: map[string]struct{}{"80/tcp": {}},
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// serve runs a registry in this process; wrap may stand before it.
func serve(t *testing.T, secure bool, wrap func(http.Handler) http.Handler) (host string) {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// push uploads an image to a registry of serve.
func push(t *testing.T, ref string, img v1.Image) {
	t.Helper()
	if err := testregistry.Push(t.Context(), http.DefaultClient, ref, img); err != nil {
		t.Fatal(err)
	}
}

func plainHTTP() PullOptions {
	verify, retry := false, uint(0)
	return PullOptions{Access: Access{TLSVerify: &verify, Retry: &retry}, Policy: PolicyAlways}
}

func idOf(t *testing.T, img v1.Image) string {
	t.Helper()
	sum, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return sum.Hex
}

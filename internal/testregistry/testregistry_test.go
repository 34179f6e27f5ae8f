package testregistry

import (
	"io"
	"log"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
)

func TestPush(t *testing.T) {
	img, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	client := Client(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	for ref, path := range map[string]string{"host/a/b": "a/b/manifests/latest", "host/c:1": "c/manifests/1"} {
		if err := Push(t.Context(), client, ref, img); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://host/v2/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := reply.Header.Get("Docker-Content-Digest"); got != want.String() {
			t.Errorf("%s: %s at %s, want %s", ref, got, path, want)
		}
		if err := reply.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPushRefused(t *testing.T) {
	img, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	client := Client(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no room", http.StatusInsufficientStorage)
	}))
	if err := Push(t.Context(), client, "host/a", img); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("error %v, want the registry's", err)
	}
}

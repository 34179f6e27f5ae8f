// Package testregistry puts images into the registries that tests and the
// benchmark serve from their own process. Which images, and what else such a
// registry does, is theirs. The protocol needs two requests; the client of
// go-containerregistry would bring docker's along.
package testregistry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Client is a client whose every request the handler answers, without the
// network in between.
func Client(handler http.Handler) *http.Client {
	return &http.Client{Transport: direct{handler}}
}

type direct struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.ContentLength == 0 {
		req = req.Clone(req.Context())
		req.ContentLength = -1 // how servers say that they do not know it
	}
	reply := httptest.NewRecorder()
	d.ServeHTTP(reply, req)
	return reply.Result(), nil
}

// Push uploads an image as HOST/REPOSITORY[:TAG], without TLS; the tag is latest
// unless it is given.
func Push(ctx context.Context, client *http.Client, ref string, img v1.Image) error {
	repository, _ := locate(ref)
	if err := pushBlobs(ctx, client, repository, img); err != nil {
		return fmt.Errorf("push %s: %w", ref, err)
	}
	return PushManifest(ctx, client, ref, img)
}

// Manifest is an image or an index.
type Manifest interface {
	RawManifest() ([]byte, error)
	MediaType() (types.MediaType, error)
}

// PushManifest uploads a manifest or an index whose parts the registry has.
func PushManifest(ctx context.Context, client *http.Client, ref string, m Manifest) error {
	manifest, err := m.RawManifest()
	if err != nil {
		return fmt.Errorf("push %s: %w", ref, err)
	}
	kind, err := m.MediaType()
	if err != nil {
		return fmt.Errorf("push %s: %w", ref, err)
	}
	repository, tag := locate(ref)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, repository+"/manifests/"+tag, bytes.NewReader(manifest))
	if err != nil {
		return fmt.Errorf("push %s: %w", ref, err)
	}
	if err := send(client, req, string(kind)); err != nil {
		return fmt.Errorf("push %s: %w", ref, err)
	}
	return nil
}

// locate returns the address of the repository, and the tag.
func locate(ref string) (repository, tag string) {
	host, name, _ := strings.Cut(ref, "/")
	name, tag, ok := strings.Cut(name, ":")
	if !ok {
		tag = "latest"
	}
	return "http://" + host + "/v2/" + name, tag
}

func pushBlobs(ctx context.Context, client *http.Client, repository string, img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	config, err := partial.ConfigLayer(img)
	if err != nil {
		return err
	}
	for _, layer := range append(layers, config) {
		digest, err := layer.Digest()
		if err != nil {
			return err
		}
		content, err := layer.Compressed()
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, repository+"/blobs/uploads/?digest="+digest.String(), content)
		if err != nil {
			return err
		}
		if err := send(client, req, "application/octet-stream"); err != nil {
			return err
		}
	}
	return nil
}

func send(client *http.Client, req *http.Request, kind string) error {
	req.Header.Set("Content-Type", kind)
	reply, err := client.Do(req)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(reply.Body, 4<<10)) // what there is of it
		return fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, reply.Status, text)
	}
	return nil
}

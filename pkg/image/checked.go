package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"

	"github.com/rootless-pod/pod/internal/strictjson"
	"github.com/rootless-pod/pod/pkg/storage"
)

// checkedStore is the store as whatever brings images sees it: an image whose
// documents contradict themselves or what was unpacked does not come to be. The
// libraries check digests and media types; they take the last of two equal keys,
// and believe the sizes.
type checkedStore struct {
	cstorage.Store
}

// PutLayer marks the layer: see storage.BroughtLayers.
func (c *checkedStore) PutLayer(id, parent string, names []string, label string, writeable bool, opts *cstorage.LayerOptions, diff io.Reader) (*cstorage.Layer, int64, error) { //nolint:revive // the library's signature
	if !writeable {
		marked := cstorage.LayerOptions{}
		if opts != nil {
			marked = *opts
		}
		marked.Flags = mark(marked.Flags)
		opts = &marked
	}
	return c.Store.PutLayer(id, parent, names, label, writeable, opts, diff)
}

// ApplyStagedLayer is PutLayer of a layer that was brought in parts.
func (c *checkedStore) ApplyStagedLayer(args cstorage.ApplyStagedLayerOptions) (*cstorage.Layer, error) {
	diff := graphdriver.ApplyDiffWithDifferOpts{}
	if args.DiffOptions != nil {
		diff = *args.DiffOptions
	}
	diff.Flags = mark(diff.Flags)
	args.DiffOptions = &diff
	return c.Store.ApplyStagedLayer(args)
}

func mark(flags map[string]any) map[string]any {
	all := map[string]any{storage.BroughtFlag: true}
	maps.Copy(all, flags)
	return all
}

// CreateImage is where an image comes to be.
func (c *checkedStore) CreateImage(id string, names []string, layer, metadata string, opts *cstorage.ImageOptions) (*cstorage.Image, error) {
	if opts != nil {
		if err := c.check(layer, opts.BigData); err != nil {
			return nil, err
		}
	}
	return c.Store.CreateImage(id, names, layer, metadata, opts)
}

// liarError is what is wrong with an image's documents.
type liarError string

func (e liarError) Error() string { return string(e) }

// described is the part of a manifest that is checked.
type described struct {
	Config *part  `json:"config"`
	Layers []part `json:"layers"`
}

type part struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
}

func (c *checkedStore) check(top string, data []cstorage.ImageBigDataOption) error {
	var manifest, config []byte
	for _, item := range data {
		switch {
		case item.Key == cstorage.ImageDigestBigDataKey:
			manifest = item.Data
		case strings.HasPrefix(item.Key, cstorage.ImageDigestManifestBigDataNamePrefix):
			if err := unambiguous("manifest", item.Data); err != nil {
				return err
			}
		case digest.Digest(item.Key).Validate() == nil:
			config = item.Data
			if err := unambiguous("configuration", item.Data); err != nil {
				return err
			}
		}
	}
	var doc described
	if manifest == nil || json.Unmarshal(manifest, &doc) != nil || doc.Config == nil {
		return nil //nolint:nilerr // a list, or a manifest of the first kind, which has no configuration
	}
	if err := doc.agrees(config); err != nil {
		return err
	}
	return c.measure(top, doc.Layers)
}

// agrees says whether manifest and configuration speak of the same layers.
func (d *described) agrees(config []byte) error {
	if config == nil {
		return nil
	}
	if d.Config.Size != int64(len(config)) && d.Config.Digest == digest.FromBytes(config) {
		return liarError(fmt.Sprintf("the manifest gives the configuration %d bytes, it has %d", d.Config.Size, len(config)))
	}
	var doc struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &doc); err != nil {
		return liarError("the configuration cannot be read: " + err.Error())
	}
	if n := len(doc.RootFS.DiffIDs); n > 0 && n != len(d.Layers) {
		return liarError(fmt.Sprintf("the manifest has %d layers, the configuration %d", len(d.Layers), n))
	}
	return nil
}

// measure compares the sizes that a manifest gives with those of the layers that
// were unpacked, the last of which is top. A layer that came by another way, in
// another compression, has nothing to compare.
func (c *checkedStore) measure(top string, layers []part) error {
	for i := len(layers) - 1; i >= 0 && top != ""; i-- {
		layer, err := c.Layer(top)
		if err != nil {
			return fmt.Errorf("check layer %s: %w", top, err)
		}
		size := int64(-1)
		switch layers[i].Digest {
		case layer.CompressedDigest:
			size = layer.CompressedSize
		case layer.UncompressedDigest:
			size = layer.UncompressedSize
		}
		if size > 0 && size != layers[i].Size {
			return liarError(fmt.Sprintf("the manifest gives layer %s %d bytes, it has %d", layers[i].Digest, layers[i].Size, size))
		}
		top = layer.Parent
	}
	return nil
}

// unambiguous says whether all readers of a document read the same, and an object.
func unambiguous(what string, raw []byte) error {
	if text := bytes.TrimSpace(raw); len(text) == 0 || text[0] != '{' {
		return liarError("the " + what + " is not a JSON object")
	}
	if err := strictjson.Unambiguous(raw); err != nil {
		return liarError("the " + what + ": " + err.Error())
	}
	return nil
}

package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/manifest"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/storage"
)

// CommitOptions describe an image that is made of a container.
type CommitOptions struct {
	// Base is the id of the image below; empty makes an image of one layer.
	Base string
	// LayerID is the id in the store of the layer that is made; see Store.LayerID.
	LayerID string
	// Config is the new image's; see BaseConfig.
	Config Config
	// Author and Message are recorded; CreatedBy is the command.
	Author, Message, CreatedBy string
	// Format is FormatOCI ("") or FormatDocker.
	Format string
	// Name of the image; empty leaves it without.
	Name string
	// Progress receives what happens, unless nil.
	Progress io.Writer
}

func (o *CommitOptions) say(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}

// Layer is the archive of a layer, in a temporary file.
type Layer struct {
	file *os.File
	info layerInfo
}

// CheckCommit says what is wrong with options before anything is made.
func CheckCommit(o *CommitOptions) error {
	switch o.Format {
	case "", FormatOCI:
		if o.Message != "" {
			return errors.New("messages are only compatible with the docker image format (-f docker)")
		}
	case FormatDocker:
	default:
		return fmt.Errorf("unrecognized image format %q: use oci or docker", o.Format)
	}
	if o.Name == "" {
		return nil
	}
	if _, err := libimage.NormalizeName(o.Name); err != nil {
		return fmt.Errorf("image name %q: %w", o.Name, err)
	}
	return nil
}

// BaseConfig is the configuration of a local image, for a new image on it.
func (s *Store) BaseConfig(ctx context.Context, id string) (Config, error) {
	base, _, err := s.base(ctx, id)
	if err != nil || base.Config == nil {
		return Config{}, err
	}
	return *base.Config, nil
}

func (s *Store) base(ctx context.Context, id string) (*manifest.Schema2Image, basic.Found, error) {
	img, err := s.find(ctx, id)
	if err != nil {
		return nil, img, err
	}
	raw, err := s.basic.RawConfig(img)
	if err != nil {
		return nil, img, err
	}
	out := &manifest.Schema2Image{}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, img, &Error{Name: id, Reason: "the image's configuration cannot be read: " + err.Error(), Err: err}
	}
	return out, img, nil
}

// Spool keeps the archive of a new layer in a temporary file, without the
// entries that drop names: with that the container need not stand still longer
// than reading takes.
func (s *Store) Spool(ctx context.Context, r io.Reader, drop func(*tar.Header) bool) (_ *Layer, err error) {
	lib, err := s.writing()
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(lib.sys.BigFilesTemporaryDir, "pod-layer-")
	if err != nil {
		return nil, explain("temporary file", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := os.Remove(f.Name()); err != nil { // it lives as long as it is open
		return nil, explain("temporary file", err)
	}
	hash := digest.Canonical.Digester()
	counted := &counter{w: io.MultiWriter(f, hash.Hash())}
	if err := dropEntries(contextReader{ctx, r}, counted, drop); err != nil {
		return nil, explain("temporary file", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, explain("temporary file", err)
	}
	return &Layer{file: f, info: layerInfo{hash.Digest(), counted.n}}, nil
}

// Close gives the temporary file up.
func (l *Layer) Close() error { return l.file.Close() }

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// dropEntries copies an archive without some of its entries.
func dropEntries(r io.Reader, w io.Writer, drop func(*tar.Header) bool) error {
	in, out := tar.NewReader(r), tar.NewWriter(w)
	for {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return out.Close()
		}
		if err != nil {
			return err
		}
		if drop(head) {
			continue
		}
		if err := out.WriteHeader(head); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil { //nolint:gosec // as large as the container
			return err
		}
	}
}

// LayerID is the id that the layer gets over an image (none: ""): that which a
// pull gives to the same content. With another one the image could not be pulled
// on this host, where it is already (storage/storage_dest.go, layerID).
func (s *Store) LayerID(ctx context.Context, layer *Layer, base string) (string, error) {
	if base == "" {
		return layer.info.digest.Encoded(), nil
	}
	img, err := s.find(ctx, base)
	if err != nil {
		return "", err
	}
	return digest.Canonical.FromString(img.TopLayer + "+" + layer.info.digest.Encoded()).Encoded(), nil
}

// Commit makes an image of a layer and returns its id. Killed half way it leaves
// at most a layer that no image has, and that prune finds.
func (s *Store) Commit(ctx context.Context, layer *Layer, o *CommitOptions) (string, error) {
	if err := CheckCommit(o); err != nil {
		return "", err
	}
	lib, err := s.writing()
	if err != nil {
		return "", err
	}
	var names []string
	if o.Name != "" {
		named, err := libimage.NormalizeName(o.Name)
		if err != nil {
			return "", explain(o.Name, err)
		}
		names = []string{named.String()}
	}
	var base *manifest.Schema2Image
	var below []layerInfo
	parent := ""
	if o.Base != "" {
		var img basic.Found
		if base, img, err = s.base(ctx, o.Base); err != nil {
			return "", err
		}
		parent = img.TopLayer
		if below, err = chain(lib.seen, parent, base); err != nil {
			return "", &Error{Name: o.Base, Reason: err.Error(), Err: err}
		}
	}
	docs, err := compose(base, below, layer.info, o, time.Now().UTC())
	if err != nil {
		return "", err
	}
	o.say("Copying blob %s", layer.info.digest)
	made := !lib.seen.Exists(o.LayerID)
	err = step.Do(ctx, "commit.layer", func() error {
		if !made {
			return nil // another image has it
		}
		return lib.store.NewLayer(ctx, o.LayerID, parent, &cstorage.LayerOptions{
			OriginalDigest: layer.info.digest, UncompressedDigest: layer.info.digest,
			Flags: map[string]any{storage.BroughtFlag: true}, // until there is an image, as with a pull
		}, layer.file)
	})
	if err != nil {
		return "", explain("commit", err)
	}
	o.say("Copying config sha256:%s", docs.id)
	o.say("Writing manifest to image destination")
	err = step.Do(ctx, "commit.image", func() error { return s.record(ctx, lib, docs, o.LayerID, names) })
	if err != nil && made {
		err = errors.Join(err, lib.store.DeleteUnused(context.WithoutCancel(ctx), o.LayerID))
	}
	if err != nil {
		return "", explain("commit", err)
	}
	s.MarkUsed(docs.id)
	return docs.id, nil
}

// record writes the image. With a name that is free that is one step; a name that
// another image has is taken from it in a second one.
func (s *Store) record(ctx context.Context, lib *library, docs documents, layer string, names []string) error {
	opts := &cstorage.ImageOptions{
		CreationDate: time.Now().UTC(), Digest: docs.digest,
		BigData: []cstorage.ImageBigDataOption{
			{Key: "sha256:" + docs.id, Data: docs.config, Digest: digest.FromBytes(docs.config)},
			{Key: cstorage.ImageDigestManifestBigDataNamePrefix + "-" + docs.digest.String(), Data: docs.manifest, Digest: docs.digest},
			{Key: cstorage.ImageDigestBigDataKey, Data: docs.manifest, Digest: docs.digest},
		},
	}
	_, err := lib.store.NewImage(ctx, docs.id, layer, names, opts)
	if errors.Is(err, cstorage.ErrDuplicateName) {
		if _, err = lib.store.NewImage(ctx, docs.id, layer, nil, opts); err == nil {
			err = lib.seen.AddNames(docs.id, names)
		}
	}
	return err
}

// chain are the layers of an image, first to last, with the digests that its
// configuration gives them.
func chain(store cstorage.Store, top string, base *manifest.Schema2Image) ([]layerInfo, error) {
	if base.RootFS == nil {
		return nil, errors.New("the image's configuration names no layers")
	}
	diffs := base.RootFS.DiffIDs
	out := make([]layerInfo, len(diffs))
	id := top
	for i := len(diffs) - 1; i >= 0; i-- {
		layer, err := store.Layer(id)
		if err != nil {
			return nil, fmt.Errorf("layer %d of the image: %w", i+1, err)
		}
		out[i] = layerInfo{diffs[i], layer.UncompressedSize}
		id = layer.Parent
	}
	if id != "" {
		return nil, fmt.Errorf("the image has more layers than the %d that its configuration names", len(diffs))
	}
	return out, nil
}

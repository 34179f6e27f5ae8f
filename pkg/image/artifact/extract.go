package artifact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/pkg/libartifact/types"

	"github.com/rootless-pod/pod/pkg/image"
)

// ExtractOptions are those of Extract.
type ExtractOptions struct {
	// Title or Digest choose one file.
	Title, Digest string
	// Mode is that of new files.
	Mode os.FileMode
}

// Extract copies the files of an artifact into a directory, under their titles, or
// one of them to a file. What the artifact says can only name files right in that
// directory; one that is there is replaced, not written through.
func (s *Store) Extract(ctx context.Context, name, target string, opts ExtractOptions) error {
	if opts.Title != "" && opts.Digest != "" {
		return errors.New("--digest and --title exclude each other")
	}
	return s.using(ctx, name, func(a *Artifact) error { return s.extract(ctx, a, name, target, opts) })
}

func (s *Store) extract(ctx context.Context, a *Artifact, name, target string, opts ExtractOptions) error {
	layers, err := choose(a, opts)
	if err != nil {
		return &image.Error{Name: name, Reason: err.Error(), Err: err}
	}
	info, err := os.Stat(target)
	if err == nil && info.IsDir() {
		return image.Explain(name, s.extractInto(ctx, layers, target, opts.Mode))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return image.Explain(target, err)
	}
	if len(layers) > 1 {
		return &image.Error{
			Name: name, Reason: fmt.Sprintf("the artifact has %d files and %s is not a directory", len(layers), target),
			Hint: "name a directory, or choose one file with --title or --digest",
		}
	}
	return image.Explain(name, s.extractTo(ctx, layers[0], target, opts.Mode))
}

// extractTo writes one file to a path of the user's.
func (s *Store) extractTo(ctx context.Context, layer imgspec.Descriptor, target string, mode os.FileMode) (err error) {
	if err := s.verify(ctx, layer, io.Discard); err != nil {
		return err
	}
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return s.verify(ctx, layer, out)
}

// choose picks the files that the user wants.
func choose(a *Artifact, opts ExtractOptions) ([]imgspec.Descriptor, error) {
	var out []imgspec.Descriptor
	for i := range a.Manifest.Layers {
		layer := &a.Manifest.Layers[i]
		title := layer.Annotations[imgspec.AnnotationTitle]
		if opts.Title != "" && opts.Title != title || opts.Digest != "" && opts.Digest != layer.Digest.String() {
			continue
		}
		out = append(out, imgspec.Descriptor{Digest: layer.Digest, Size: layer.Size, Annotations: layer.Annotations})
	}
	chosen, by := opts.Title, "title"
	if opts.Digest != "" {
		chosen, by = opts.Digest, "digest"
	}
	switch {
	case chosen == "" && len(out) == 0:
		return nil, errors.New("the artifact has no blobs, nothing to extract")
	case chosen != "" && len(out) == 0:
		return nil, fmt.Errorf("no blob with the %s %q", by, chosen)
	case chosen != "" && len(out) > 1:
		return nil, fmt.Errorf("more than one match for the %s %q", by, chosen)
	}
	return out, nil
}

// fileName is the name that a file of an artifact gets in a directory: its title, or
// its digest. A title with a directory in it is refused, not made safe: nobody needs
// one.
func fileName(layer imgspec.Descriptor) (string, error) {
	title := layer.Annotations[imgspec.AnnotationTitle]
	switch {
	case title == "":
		return strings.ReplaceAll(layer.Digest.String(), ":", "-"), nil
	case title == "." || title == ".." || strings.ContainsAny(title, "/\x00"):
		return "", fmt.Errorf("%w: %q is not the name of a file", types.ErrArtifactBlobTitleInvalid, title)
	case len(title) > 255:
		return "", fmt.Errorf("%w: %q… is too long for the name of a file", types.ErrArtifactBlobTitleInvalid, title[:32])
	}
	return title, nil
}

// extractInto writes files into a directory. All names are looked at before the
// first file is written.
func (s *Store) extractInto(ctx context.Context, layers []imgspec.Descriptor, target string, mode os.FileMode) (err error) {
	names := make([]string, len(layers))
	seen := map[string]bool{}
	for i, layer := range layers {
		if names[i], err = fileName(layer); err != nil {
			return err
		}
		if seen[names[i]] {
			return fmt.Errorf("several blobs have the title %q: choose one with --digest", names[i])
		}
		seen[names[i]] = true
	}
	root, err := os.OpenRoot(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for i, layer := range layers {
		if err := s.extractAs(ctx, root, layer, names[i], mode); err != nil {
			return err
		}
	}
	return nil
}

// extractAs writes a file beside its place and renames it: a link that waits there
// is replaced.
func (s *Store) extractAs(ctx context.Context, root *os.Root, layer imgspec.Descriptor, name string, mode os.FileMode) (err error) {
	if info, err := root.Lstat(name); err == nil && info.IsDir() {
		return fmt.Errorf("%q is a directory in the target", name)
	}
	temporary := ".pod-extract-" + rand.Text()
	out, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Remove(temporary))
		}
	}()
	err = s.verify(ctx, layer, out)
	if err = errors.Join(err, out.Chmod(mode), out.Close()); err != nil {
		return err
	}
	return root.Rename(temporary, name)
}

// verify copies a file of the layout and finds out whether it is what the manifest
// says.
func (s *Store) verify(ctx context.Context, layer imgspec.Descriptor, to io.Writer) (err error) {
	path, err := blobPath(s.root, layer.Digest)
	if err != nil {
		return err
	}
	f, err := open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	digester := layer.Digest.Algorithm().Digester()
	n, err := io.Copy(io.MultiWriter(to, digester.Hash()), stopping{ctx, io.LimitReader(f, layer.Size+1)})
	switch {
	case err != nil:
		return err
	case n != layer.Size:
		return fmt.Errorf("the blob %s has not the %d bytes that the manifest says", layer.Digest, layer.Size)
	case digester.Digest() != layer.Digest:
		return fmt.Errorf("the blob %s has other content", layer.Digest)
	}
	return nil
}

// stopping ends a copy when the command is to end.
type stopping struct {
	ctx context.Context //nolint:containedctx // lives for one io.Copy
	r   io.Reader
}

// Read reads, unless the command is to end.
func (s stopping) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

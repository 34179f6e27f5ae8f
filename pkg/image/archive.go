package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"

	"github.com/rootless-pod/pod/internal/step"
)

// The formats of Save.
const (
	FormatDockerArchive = "docker-archive"
	FormatDockerDir     = "docker-dir"
	FormatOCIArchive    = "oci-archive"
	FormatOCIDir        = "oci-dir"
)

// LoadOptions are those of Load.
type LoadOptions struct {
	// Progress receives what happens, unless Quiet.
	Progress io.Writer
	Quiet    bool
	// SignaturePolicy replaces the policy of the Store.
	SignaturePolicy string
}

// OnWeb says that path is an address on the web.
func OnWeb(path string) bool {
	return strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://")
}

// Load brings the images of an archive or directory, in any format that Save
// writes, and returns their names. The format is found out. The archive may be
// at an http(s) address.
func (s *Store) Load(ctx context.Context, path string, opts LoadOptions) ([]string, error) {
	if OnWeb(path) {
		local, err := s.download(ctx, path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.Remove(local) }()
		path = local
	}
	lib, err := s.writing()
	if err != nil {
		return nil, err
	}
	load := &libimage.LoadOptions{}
	load.SignaturePolicyPath = opts.SignaturePolicy
	if !opts.Quiet {
		load.Writer = opts.Progress
	}
	if transport, _, ok := strings.Cut(path, ":"); ok && sourcePath(path) != "" {
		if err := s.vetSource(ctx, path); err != nil {
			return nil, err
		}
		ref, err := alltransports.ParseImageName(path)
		if err != nil {
			return nil, &Error{Name: path, Reason: "invalid " + transport + " reference", Err: err}
		}
		names, err := lib.LoadReference(ctx, ref, load)
		s.dropFailed(ctx, err)
		s.markNames(names)
		if out := s.policyError(path, opts.SignaturePolicy, ref, err); out != nil {
			return nil, out
		}
		return names, explain(path, err)
	}
	given := path
	path, done, err := s.vet(ctx, path)
	defer done()
	if err != nil {
		return nil, err
	}
	names, err := lib.Load(ctx, path, load)
	s.dropFailed(ctx, err)
	s.markNames(names)
	if out := s.policyError(given, opts.SignaturePolicy, rejectedArchive(path, err), err); out != nil {
		return nil, out
	}
	if err != nil && strings.Contains(err.Error(), "payload does not match any of the supported image formats") {
		return nil, &Error{Name: given, Reason: "no image archive: " + strings.ReplaceAll(loadReason(path, err), path, given), Err: err}
	}
	return names, explain(given, err)
}

// loadReason picks, from the four formats that were tried, why the likely one
// failed.
func loadReason(path string, err error) string {
	likely := "docker-archive"
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		likely = "oci"
		if _, err := os.Stat(filepath.Join(path, "manifest.json")); err == nil {
			likely = "dir"
		}
	}
	for line := range strings.Lines(err.Error()) {
		if reason, ok := strings.CutPrefix(strings.TrimSpace(line), "* "+likely+": "); ok {
			return strings.TrimSpace(reason)
		}
	}
	return "none of the known formats"
}

// rejectedArchive is the archive as the format that the policy did not let in.
func rejectedArchive(path string, err error) types.ImageReference {
	if err == nil {
		return nil
	}
	for line := range strings.Lines(err.Error()) {
		transport, reason, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "* "), ": ")
		if !ok || !strings.Contains(reason, refused) {
			continue
		}
		if ref, err := alltransports.ParseImageName(transport + ":" + path); err == nil {
			return ref
		}
	}
	return nil
}

// LoadReader is Load of a stream, which is kept in a temporary file meanwhile.
func (s *Store) LoadReader(ctx context.Context, r io.Reader, opts LoadOptions) ([]string, error) {
	path, err := s.spool(ctx, r)
	if err != nil {
		return nil, err
	}
	names, err := s.Load(ctx, path, opts)
	var plain *Error
	if errors.As(err, &plain) {
		plain.Name = "standard input"
	}
	return names, errors.Join(err, os.Remove(path))
}

// spool copies a stream to a temporary file, where big files go.
func (s *Store) spool(ctx context.Context, r io.Reader) (path string, err error) {
	lib, err := s.writing()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(lib.Runtime.SystemContext().BigFilesTemporaryDir, "pod-load-")
	if err != nil {
		return "", explain("temporary file", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := io.Copy(f, contextReader{ctx, r}); err != nil {
		return "", explain("temporary file "+f.Name(), err)
	}
	return f.Name(), nil
}

// contextReader stops reading when ctx is done.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives for one io.Copy
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// SaveOptions are those of Save.
type SaveOptions struct {
	// Format is docker-archive (""), oci-archive, oci-dir or docker-dir.
	Format string
	// Compress compresses the layers of docker-dir.
	Compress bool
	// Uncompressed keeps layers of OCI formats as they are unpacked.
	Uncompressed bool
	// Tags are more names for a single image in a docker-archive.
	Tags []string
	// Progress receives what happens, unless Quiet.
	Progress io.Writer
	Quiet    bool
	// SignaturePolicy replaces the policy of the Store.
	SignaturePolicy string
}

// Save writes images to path, which must not exist as a file with the archive
// formats. Several images need docker-archive. What a failure has begun to
// write is removed.
func (s *Store) Save(ctx context.Context, names []string, path string, opts SaveOptions) error {
	format := opts.Format
	if format == "" {
		format = FormatDockerArchive
	}
	switch format {
	case FormatDockerArchive, FormatOCIArchive, FormatOCIDir, FormatDockerDir:
	default:
		return fmt.Errorf("unknown format %q: use docker-archive, oci-archive, oci-dir or docker-dir", format)
	}
	if opts.Compress && format != FormatDockerDir {
		return errors.New("--compress can only be set when --format is docker-dir")
	}
	lib, err := s.reading()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := s.find(ctx, name); err != nil {
			return err
		}
	}
	_, statErr := os.Lstat(path)
	save := &libimage.SaveOptions{AdditionalTags: opts.Tags}
	save.SignaturePolicyPath = opts.SignaturePolicy
	// The policy is for what comes in; what is here may leave, unless one is given
	// for this very copy.
	save.PolicyAllowStorage = opts.SignaturePolicy == ""
	save.DirForceCompress, save.OciAcceptUncompressedLayers = opts.Compress, opts.Uncompressed
	if !opts.Quiet {
		save.Writer = opts.Progress
	}
	if err := lib.Save(ctx, names, format, path, save); err != nil {
		if out := s.policyError(names[0], opts.SignaturePolicy, nil, err); out != nil {
			err = out
		} else {
			err = explainSave(path, names, err)
		}
		if errors.Is(statErr, fs.ErrNotExist) {
			err = errors.Join(err, os.RemoveAll(path))
		}
		return err
	}
	return nil
}

// SaveTo is Save of an archive to a stream. The libraries write archives to a file
// of which they must know the place.
func (s *Store) SaveTo(ctx context.Context, names []string, w io.Writer, opts SaveOptions) (err error) {
	lib, err := s.writing()
	if err != nil {
		return err
	}
	path := filepath.Join(lib.sys.BigFilesTemporaryDir, "archive")
	if err := s.Save(ctx, names, path, opts); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the archive back: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(w, contextReader{ctx, f}); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

func explainSave(path string, names []string, err error) error {
	switch {
	case strings.Contains(err.Error(), "docker-archive doesn't support modifying existing images"):
		return &Error{Name: path, Reason: "the file exists already", Hint: "remove it, or choose another", Err: err}
	case len(names) == 1:
		return explain(names[0], err)
	}
	return explain(path, err)
}

// ImportOptions are those of Import.
type ImportOptions struct {
	// Changes are Containerfile instructions: CMD, ENV, WORKDIR and the like.
	Changes []string
	// Message is a comment in the image's history.
	Message string
	// Reference is the image's name; empty gives none.
	Reference string
	// OS, Arch and Variant replace those of this machine.
	OS, Arch, Variant string
	// Progress receives what happens, unless Quiet.
	Progress io.Writer
	Quiet    bool
	// SignaturePolicy replaces the policy of the Store.
	SignaturePolicy string
}

// Import makes an image of one layer from an archive of a file system, at a
// path or an http(s) address, and returns its id.
func (s *Store) Import(ctx context.Context, path string, opts ImportOptions) (string, error) {
	if !OnWeb(path) {
		info, err := os.Stat(path)
		if err != nil {
			return "", explain(path, err)
		}
		if info.IsDir() {
			return "", &Error{Name: path, Reason: "is a directory, not an archive"}
		}
	}
	lib, err := s.writing()
	if err != nil {
		return "", err
	}
	if OnWeb(path) {
		local, err := s.download(ctx, path)
		if err != nil {
			return "", err
		}
		defer func() { _ = os.Remove(local) }()
		path = local
	}
	if err := measureImport(ctx, path); err != nil {
		return "", err
	}
	options := &libimage.ImportOptions{
		Changes: opts.Changes, CommitMessage: opts.Message, Tag: opts.Reference, OS: opts.OS, Arch: opts.Arch,
	}
	options.Variant, options.SignaturePolicyPath = opts.Variant, opts.SignaturePolicy
	if !opts.Quiet {
		options.Writer = opts.Progress
	}
	var id string
	err = step.Do(ctx, "image.import", func() (err error) {
		id, err = lib.Import(ctx, path, options)
		return err
	})
	s.dropFailed(ctx, err)
	if out := s.policyError(path, opts.SignaturePolicy, nil, err); out != nil {
		return "", out
	}
	if err != nil {
		return "", explain(path, err)
	}
	id = strings.TrimPrefix(id, "sha256:")
	s.MarkUsed(id)
	return id, nil
}

// ImportReader is Import of a stream.
func (s *Store) ImportReader(ctx context.Context, r io.Reader, opts ImportOptions) (string, error) {
	path, err := s.spool(ctx, r)
	if err != nil {
		return "", err
	}
	id, err := s.Import(ctx, path, opts)
	var plain *Error
	if errors.As(err, &plain) && plain.Name == path {
		plain.Name = "standard input"
	}
	return id, errors.Join(err, os.Remove(path))
}

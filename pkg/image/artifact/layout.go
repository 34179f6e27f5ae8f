package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/storage/pkg/lockfile"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/strictjson"
)

// Bounds of what is read into memory; registries have the same for manifests.
const (
	maxManifest = 4 << 20
	maxIndex    = 64 << 20
)

// index reads which artifacts there are. No lock: it changes by a rename.
func (s *Store) index() (*imgspec.Index, error) { return readIndex(s.root) }

func readIndex(root string) (*imgspec.Index, error) {
	out := &imgspec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: imgspec.MediaTypeImageIndex}
	path := filepath.Join(root, imgspec.ImageIndexFile)
	raw, err := readFile(path, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of artifacts: %w", err)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("the list of artifacts %s is damaged: %w", path, err)
	}
	return out, nil
}

// writeIndex replaces the index and waits until it is on the disk.
func writeIndex(root string, index *imgspec.Index) error {
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		imgspec.ImageLayoutFile: []byte(`{"imageLayoutVersion":"` + imgspec.ImageLayoutVersion + `"}`),
		imgspec.ImageIndexFile:  raw,
	} {
		if name == imgspec.ImageLayoutFile {
			if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
				continue
			}
		}
		if err := replace(filepath.Join(root, name), data); err != nil {
			return err
		}
	}
	return syncPath(root)
}

// replace writes a file that is seen whole or not at all.
func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), stagePrefix+"file-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncPath waits until a file or directory is on the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// locked runs f while no other process changes the index.
func (s *Store) locked(f func(*imgspec.Index) error) error {
	if err := os.MkdirAll(s.root, 0o700); err != nil {
		return err
	}
	lock, err := lockfile.GetLockFile(filepath.Join(s.root, "index.lock"))
	if err != nil {
		return err
	}
	lock.Lock()
	defer lock.Unlock()
	index, err := s.index()
	if err != nil {
		return err
	}
	return f(index)
}

// read reads the manifest of an entry.
func (s *Store) read(entry *imgspec.Descriptor) (*Artifact, error) {
	m, err := readManifest(s.root, entry.Digest)
	if err != nil {
		return nil, err
	}
	return &Artifact{Name: nameOf(entry), Digest: entry.Digest, Manifest: m}, nil
}

// readManifest reads a manifest of a layout, and believes nothing of it.
func readManifest(root string, d digest.Digest) (*manifest.OCI1, error) {
	path, err := blobPath(root, d)
	if err != nil {
		return nil, err
	}
	raw, err := readFile(path, maxManifest)
	if err != nil {
		return nil, err
	}
	if d.Algorithm().FromBytes(raw) != d {
		return nil, fmt.Errorf("the manifest %s has other content", d)
	}
	if err := strictjson.Unambiguous(raw); err != nil {
		return nil, fmt.Errorf("the manifest is refused: %w", err)
	}
	if mime := manifest.GuessMIMEType(raw); mime != imgspec.MediaTypeImageManifest {
		return nil, fmt.Errorf("the manifest is refused: its type is %q, not %s", mime, imgspec.MediaTypeImageManifest)
	}
	out, err := manifest.OCI1FromManifest(raw)
	if err != nil {
		return nil, fmt.Errorf("the manifest is refused: %w", err)
	}
	for _, blob := range blobsOf(d, out) {
		if err := blob.Validate(); err != nil {
			return nil, fmt.Errorf("the manifest is refused: it names a file by %q, which is no digest", blob)
		}
	}
	return out, nil
}

// blobsOf are the blobs that a manifest needs, itself among them.
func blobsOf(d digest.Digest, m *manifest.OCI1) []digest.Digest {
	out := []digest.Digest{d, m.Config.Digest}
	for i := range m.Layers {
		out = append(out, m.Layers[i].Digest)
	}
	return out
}

// blobPath is where a layout has a blob.
func blobPath(root string, d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("%q is no digest: %w", d, err)
	}
	return filepath.Join(root, imgspec.ImageBlobsDir, d.Algorithm().String(), d.Encoded()), nil
}

// open opens a regular file, and nothing else by its name.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func readFile(path string, limit int64) (data []byte, err error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: larger than %d MiB", path, limit>>20)
	}
	return data, err
}

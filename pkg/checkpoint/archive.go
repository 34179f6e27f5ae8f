// Package checkpoint owns the archives of checkpointed containers, and what CRIU
// reports of its work. An archive is sealed with a key of the store that wrote
// it: CRIU restores capabilities, identities and mounts from its images, so
// whoever could write them would be root. One that the seal does not fit is never
// given to CRIU. What a container is made of, libpod decides.
package checkpoint

import (
	"archive/tar"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"go.podman.io/storage/pkg/archive"
)

// Names of what is in an archive.
const (
	// Description is JSON: what the container was.
	Description = "pod.json"
	// RootDiff is what it had written over its image, as a layer.
	RootDiff = "rootfs-diff.tar"
	// Images is the directory of CRIU's files, Volumes that of volumes' archives.
	Images  = "checkpoint"
	Volumes = "volumes"

	seal = "seal"
	// maxEntries and maxSeal bound what is read of an archive before its seal.
	maxEntries = 100_000
	maxSeal    = 1 << 10
)

// ErrSeal means that an archive was not written with the key at hand.
var ErrSeal = errors.New("its seal does not fit")

var entryName = sync.OnceValue(func() *regexp.Regexp { //nolint:gochecknoglobals // compiled once, when it is needed
	return regexp.MustCompile(`^(pod\.json|rootfs-diff\.tar|(checkpoint|volumes)/[A-Za-z0-9][A-Za-z0-9_.@-]*)$`)
})

// Write writes the files of dir that belong into an archive. compress is zstd
// (""), gzip or none.
func Write(w io.Writer, key []byte, compress, dir string) (err error) {
	var kind archive.Compression
	switch compress {
	case "", "zstd":
		kind = archive.Zstd
	case "gzip":
		kind = archive.Gzip
	case "none":
		kind = archive.Uncompressed
	default:
		return fmt.Errorf("compression %q is not known: use zstd, gzip or none", compress)
	}
	compressed, err := archive.CompressStream(w, kind)
	if err != nil {
		return fmt.Errorf("compress the archive: %w", err)
	}
	defer func() { err = errors.Join(err, compressed.Close()) }()
	out := tar.NewWriter(compressed)
	mac := hmac.New(sha256.New, key)
	names, err := list(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := add(out, mac, dir, name); err != nil {
			return fmt.Errorf("write %s of the archive: %w", name, err)
		}
	}
	sum := []byte(hex.EncodeToString(mac.Sum(nil)))
	if err := out.WriteHeader(&tar.Header{Name: seal, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(sum))}); err != nil {
		return fmt.Errorf("seal the archive: %w", err)
	}
	if _, err := out.Write(sum); err != nil {
		return fmt.Errorf("seal the archive: %w", err)
	}
	return out.Close()
}

// list names the regular files of dir that an archive holds.
func list(dir string) ([]string, error) {
	var names []string
	for _, sub := range []string{".", Images, Volumes} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if name := filepath.Join(sub, e.Name()); e.Type().IsRegular() && entryName().MatchString(name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

func add(out *tar.Writer, mac hash.Hash, dir, name string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: info.Size()}); err != nil {
		return err
	}
	begin(mac, name, info.Size())
	_, err = io.CopyN(io.MultiWriter(out, mac), f, info.Size())
	return err
}

// begin marks where an entry begins, so that contents cannot change places.
func begin(mac hash.Hash, name string, size int64) { fmt.Fprintf(mac, "%s\x00%d\x00", name, size) }

// Read unpacks an archive into dir, an empty directory of the caller's own, and
// says whether it may be used: everything in it is void unless the error is nil.
// Only regular files of known names are made.
func Read(r io.Reader, key []byte, dir string) error {
	plain, err := archive.DecompressStream(r)
	if err != nil {
		return fmt.Errorf("it is no archive of a checkpoint: %w", err)
	}
	defer plain.Close()
	in := tar.NewReader(plain)
	mac := hmac.New(sha256.New, key)
	for range maxEntries {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("it has none: %w", ErrSeal)
		}
		if err != nil {
			return fmt.Errorf("it is no archive of a checkpoint: %w", err)
		}
		if head.Name == seal {
			return checkSeal(in, mac)
		}
		if head.Typeflag != tar.TypeReg || !entryName().MatchString(head.Name) {
			return fmt.Errorf("%q does not belong into the archive of a checkpoint", head.Name)
		}
		begin(mac, head.Name, head.Size)
		if err := extract(in, mac, dir, head.Name); err != nil {
			return fmt.Errorf("unpack %s: %w", head.Name, err)
		}
	}
	return errors.New("it has too many entries")
}

func checkSeal(in io.Reader, mac hash.Hash) error {
	text, err := io.ReadAll(io.LimitReader(in, maxSeal))
	if err != nil {
		return fmt.Errorf("read the seal: %w", err)
	}
	sum, err := hex.DecodeString(string(text))
	if err != nil || !hmac.Equal(sum, mac.Sum(nil)) {
		return ErrSeal
	}
	return nil
}

func extract(in io.Reader, mac hash.Hash, dir, name string) (err error) {
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // a name twice is an attack
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(io.MultiWriter(f, mac), in)
	return err
}

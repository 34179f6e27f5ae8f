package image

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/signature"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/pkg/trust"
)

// storedSignatures is the key under which the image library keeps the signatures
// of an image in the store, one behind the other.
const storedSignatures = "signatures"

// LocalSigner signs images of the store with gpg, as what they are called. A push
// takes the signatures along, and leaves the image's manifest as it was signed.
type LocalSigner struct {
	store cstorage.Store
	gpg   *trust.GPG
	names []reference.Named
}

// LocalSigner finds out whether key can sign and images can be signed as names, before
// there is an image. Close it.
func (s *Store) LocalSigner(ctx context.Context, key string, names []string) (*LocalSigner, error) {
	lib, err := s.storage.Library()
	if err != nil {
		return nil, err
	}
	l := &LocalSigner{store: lib, gpg: &trust.GPG{Key: key}}
	for _, name := range names {
		named, err := libimage.NormalizeName(name)
		if err != nil {
			return nil, fmt.Errorf("a signature is of a name at a registry, and %q is none: %w", name, err)
		}
		l.names = append(l.names, named)
	}
	if err := l.gpg.Check(ctx); err != nil {
		l.Close(ctx)
		return nil, err
	}
	return l, nil
}

// Close ends what gpg needs.
func (l *LocalSigner) Close(ctx context.Context) { l.gpg.Close(ctx) }

// Sign signs an image as each of the names, in the place of what the key has signed
// as that before.
func (l *LocalSigner) Sign(ctx context.Context, id string) error {
	img, err := l.store.Image(id)
	if err != nil {
		return fmt.Errorf("find image %s: %w", id, err)
	}
	manifest, err := l.store.ImageBigData(img.ID, cstorage.ImageDigestBigDataKey)
	if err != nil {
		return fmt.Errorf("read the manifest of image %s: %w", id, err)
	}
	var all [][]byte
	for _, name := range l.names {
		signed, err := l.gpg.Sign(ctx, manifest, name.String())
		if err != nil {
			return err
		}
		all = append(all, signed)
	}
	have, err := storedBlobs(l.store, img)
	if err != nil {
		return err
	}
	for _, old := range have {
		if !slices.ContainsFunc(all, func(signed []byte) bool { return sameSignature(old, signed) }) {
			all = append(all, old)
		}
	}
	return keepSignatures(l.store, img, all)
}

// sameSignature says whether two signatures are by one key, of one name.
func sameSignature(a, b []byte) bool {
	x, err := signature.GetUntrustedSignatureInformationWithoutVerifying(a)
	if err != nil {
		return false
	}
	y, err := signature.GetUntrustedSignatureInformationWithoutVerifying(b)
	return err == nil && x.UntrustedDockerReference == y.UntrustedDockerReference && x.UntrustedShortKeyIdentifier == y.UntrustedShortKeyIdentifier
}

// sizesKey and allSizesKey are where the library's record of an image has the sizes
// of its signatures: those of the image, and those by the digest of a manifest.
const (
	sizesKey    = "signature-sizes"
	allSizesKey = "signatures-sizes"
)

// storedBlobs are the signatures that an image of the store has.
func storedBlobs(store cstorage.Store, img *cstorage.Image) ([][]byte, error) {
	var record struct {
		Sizes []int `json:"signature-sizes"`
	}
	if img.Metadata == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(img.Metadata), &record); err != nil {
		return nil, fmt.Errorf("read the record of image %s: %w", img.ID, err)
	}
	if len(record.Sizes) == 0 {
		return nil, nil
	}
	data, err := store.ImageBigData(img.ID, storedSignatures)
	if err != nil {
		return nil, fmt.Errorf("read the signatures of image %s: %w", img.ID, err)
	}
	var all [][]byte
	for _, size := range record.Sizes {
		if size < 0 || size > len(data) {
			return nil, nil // a signing that was killed
		}
		all, data = append(all, data[:size]), data[size:]
	}
	return all, nil
}

// keepSignatures puts signatures into the record of an image. Its other fields stay. Who
// reads it while this is done, or after a kill, sees no signatures, not half of them.
func keepSignatures(store cstorage.Store, img *cstorage.Image, all [][]byte) error {
	record := map[string]any{}
	if img.Metadata != "" {
		if err := json.Unmarshal([]byte(img.Metadata), &record); err != nil {
			return fmt.Errorf("read the record of image %s: %w", img.ID, err)
		}
	}
	bare := maps.Clone(record)
	delete(bare, sizesKey)
	delete(bare, allSizesKey)
	if err := keepRecord(store, img.ID, bare); err != nil {
		return err
	}
	var data []byte
	var sizes []int
	for _, one := range all {
		data, sizes = append(data, one...), append(sizes, len(one))
	}
	places := []string{storedSignatures}
	bySum := map[digest.Digest][]int{}
	for _, sum := range img.Digests {
		if sum.Validate() == nil {
			places = append(places, "signature-"+sum.Encoded())
			bySum[sum] = sizes
		}
	}
	for _, place := range places {
		if err := store.SetImageBigData(img.ID, place, data, nil); err != nil {
			return fmt.Errorf("keep the signatures of image %s: %w", img.ID, err)
		}
	}
	record[sizesKey], record[allSizesKey] = sizes, bySum
	return keepRecord(store, img.ID, record)
}

func keepRecord(store cstorage.Store, id string, record map[string]any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("write the record of image %s: %w", id, err)
	}
	if err := store.SetMetadata(id, string(data)); err != nil {
		return fmt.Errorf("write the record of image %s: %w", id, err)
	}
	return nil
}

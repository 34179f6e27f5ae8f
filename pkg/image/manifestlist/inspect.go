package manifestlist

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"

	"github.com/rootless-pod/pod/pkg/image"
)

// Inspected is a list, or the manifest of a single image at a registry.
type Inspected struct {
	// JSON of it: the local list as the field shows it, or what the registry sent.
	JSON json.RawMessage
	// Single is the type of a manifest that is no list, or empty.
	Single string
}

// Inspect shows a local list, or what a registry has under the name.
func (s *Store) Inspect(ctx context.Context, name string, access image.Access) (Inspected, error) {
	lib, err := s.images.Reader()
	if err != nil {
		return Inspected{}, err
	}
	list, localErr := lookup(lib, name)
	if localErr == nil {
		data, err := list.Inspect()
		if err != nil {
			return Inspected{}, image.Explain(name, err)
		}
		raw, err := encode(data)
		return Inspected{JSON: raw}, err
	}
	if !errors.Is(localErr, image.ErrNoImage) && !errors.Is(localErr, libimage.ErrNotAManifestList) {
		return Inspected{}, localErr
	}
	sys, err := s.system(access)
	if err != nil {
		return Inspected{}, err
	}
	refs, err := remotes(sys, name)
	if err != nil {
		return Inspected{}, image.Explain(name, err)
	}
	for _, ref := range refs {
		var raw []byte
		var mime string
		if raw, mime, err = readManifest(ctx, sys, checked{ref}); err == nil {
			return shown(name, raw, mime)
		}
	}
	var plain *image.Error
	if errors.Is(localErr, libimage.ErrNotAManifestList) && errors.As(image.Explain(name, err), &plain) {
		return Inspected{}, &image.Error{Name: name, Reason: "image is not a manifest list, and " + plain.Reason, Hint: plain.Hint, Err: err}
	}
	return Inspected{}, image.Explain(name, err)
}

// shown is what a registry has sent, if it can be understood.
func shown(name string, raw []byte, mime string) (Inspected, error) {
	if manifest.MIMETypeIsMultiImage(mime) {
		if _, err := manifest.ListFromBlob(raw, mime); err != nil {
			return Inspected{}, image.Explain(name, err)
		}
		return Inspected{JSON: raw}, nil
	}
	if _, err := manifest.FromBlob(raw, mime); err != nil {
		return Inspected{}, image.Explain(name, err)
	}
	return Inspected{JSON: raw, Single: mime}, nil
}

// remotes are the places at registries that a name can mean.
func remotes(sys *types.SystemContext, name string) ([]types.ImageReference, error) {
	if ref, err := alltransports.ParseImageName(name); err == nil {
		return []types.ImageReference{ref}, nil
	}
	resolved, err := shortnames.Resolve(sys, strings.TrimPrefix(name, "docker://"))
	if err != nil {
		return nil, err
	}
	var refs []types.ImageReference
	for _, candidate := range resolved.PullCandidates {
		ref, err := alltransports.ParseImageName("docker://" + reference.TagNameOnly(candidate.Value).String())
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// encode is JSON with the characters of HTML as they are.
func encode(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSpace(out.Bytes()), err
}

package image

import (
	"context"
	"strings"

	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/pkg/shortnames"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
)

// encryptedHint says how an encrypted image is read.
const encryptedHint = "give the private key with --decryption-key KEY[:PASSPHRASE]"

// explainKeys knows the errors of images that are encrypted for other keys.
func explainKeys(_ string, err error) *Error {
	text := err.Error()
	if !strings.Contains(text, "no suitable key unwrapper found") && !strings.Contains(text, "no suitable key found for decrypting") {
		return nil
	}
	return &Error{Reason: "the image is encrypted, and no key given opens it", Hint: encryptedHint}
}

// encrypted says whether a layer of the image at a source is encrypted. The
// library takes such layers for damaged ones when it has no key, so this is asked
// once a pull has failed.
func (l *library) encrypted(ctx context.Context, name string, access *Access, opts *libimage.PullOptions) bool {
	sys := l.contextOf(access)
	sys.OSChoice, sys.ArchitectureChoice, sys.VariantChoice = opts.OS, opts.Architecture, opts.Variant
	for _, ref := range sources(sys, name) {
		source, err := ref.NewImageSource(ctx, sys)
		if err != nil {
			continue
		}
		img, err := image.FromUnparsedImage(ctx, sys, image.UnparsedInstance(source, nil))
		found := false
		if err == nil {
			for _, layer := range img.LayerInfos() {
				found = found || strings.HasSuffix(layer.MediaType, "+encrypted")
			}
		}
		_ = source.Close()
		if found {
			return true
		}
	}
	return false
}

// sources are where a name may be pulled from.
func sources(sys *types.SystemContext, name string) []types.ImageReference {
	if ref, err := alltransports.ParseImageName(name); err == nil {
		return []types.ImageReference{ref}
	}
	resolved, err := shortnames.Resolve(sys, name)
	if err != nil {
		return nil
	}
	var refs []types.ImageReference
	for _, candidate := range resolved.PullCandidates {
		if ref, err := alltransports.ParseImageName("docker://" + candidate.Value.String()); err == nil {
			refs = append(refs, ref)
		}
	}
	return refs
}

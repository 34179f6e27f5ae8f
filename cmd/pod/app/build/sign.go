package build

import (
	"context"
	"errors"
	"fmt"

	"go.podman.io/buildah/define"

	"github.com/rootless-pod/pod/pkg/image"
)

// signer signs what is built, if that is asked for.
type signer struct{ local *image.LocalSigner }

// signer finds out whether --sign-by can be done, before anything is built. buildah
// would sign with a library that pod is not linked with: gpg does it here.
func (f *flags) signer(ctx context.Context, images *image.Store, opts *define.BuildOptions) (*signer, error) {
	key := opts.SignBy
	if key == "" {
		return &signer{}, nil
	}
	opts.SignBy = ""
	switch {
	case opts.Manifest != "" || len(opts.Platforms) > 1 || opts.AllPlatforms:
		return nil, errors.New("--sign-by of several platforms or of a manifest list is not supported yet: `pod manifest push --sign-by` signs a list")
	case opts.Output == "":
		return nil, errors.New("--sign-by signs an image as its name: give it one with --tag")
	}
	local, err := images.LocalSigner(ctx, key, append([]string{opts.Output}, opts.AdditionalTags...))
	if err != nil {
		return nil, fmt.Errorf("--sign-by: %w", err)
	}
	return &signer{local}, nil
}

func (s *signer) image(ctx context.Context, id string) error {
	if s.local == nil {
		return nil
	}
	return s.local.Sign(ctx, id) //nolint:wrapcheck // it names the image
}

func (s *signer) close(ctx context.Context) {
	if s.local != nil {
		s.local.Close(ctx)
	}
}

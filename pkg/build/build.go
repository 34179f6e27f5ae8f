// Package build makes images of Containerfiles. The instructions are buildah's
// work; this package gives it the store, the network and the isolation that are
// to be had, and tells what happens, step by step.
package build

import (
	"context"

	"go.podman.io/buildah/define"
	"go.podman.io/buildah/imagebuildah"

	"github.com/rootless-pod/pod/pkg/image"
)

// Request is one build.
type Request struct {
	// Options are buildah's.
	Options define.BuildOptions
	// Files are the paths or URLs of the Containerfiles, joined in order.
	Files []string
}

// Run builds and returns the id of the image.
func Run(ctx context.Context, images *image.Store, r Request) (string, error) {
	store, sys, err := images.Builder()
	if err != nil {
		return "", err
	}
	opts := r.Options
	if opts.SystemContext.SignaturePolicyPath == "" {
		opts.SystemContext.SignaturePolicyPath = sys.SignaturePolicyPath
	}
	if opts.SignaturePolicyPath == "" {
		opts.SignaturePolicyPath = opts.SystemContext.SignaturePolicyPath
	}
	opts.SystemContext.BigFilesTemporaryDir = sys.BigFilesTemporaryDir
	id, _, err := imagebuildah.BuildDockerfiles(ctx, store, opts, r.Files...)
	if err != nil {
		return "", err //nolint:wrapcheck // it names the step
	}
	return id, nil
}

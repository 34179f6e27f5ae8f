package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/compression"

	"github.com/rootless-pod/pod/internal/step"
)

// PushListOptions say how a list of images is brought elsewhere.
type PushListOptions struct {
	PushOptions
	// ListOnly leaves out the images: the destination must have them.
	ListOnly bool
	// AddCompression adds to the list a variant of each image whose layers are
	// compressed so: gzip, zstd or zstd:chunked.
	AddCompression []string
}

// PushList brings a local list and its images elsewhere, as Push does an image.
func (s *Store) PushList(ctx context.Context, name, destination string, opts PushListOptions) (Pushed, error) {
	lib, err := s.writing()
	if err != nil {
		return Pushed{}, err
	}
	list, err := lib.LookupManifestList(name)
	if errors.Is(err, libimage.ErrNotAManifestList) {
		return Pushed{}, &Error{Name: name, Reason: "image is not a manifest list", Hint: "`pod push` pushes images", Err: err}
	}
	if err != nil {
		return Pushed{}, explain(name, err)
	}
	return lib.pushList(ctx, list, name, destination, opts)
}

func (l *library) pushList(ctx context.Context, list *libimage.ManifestList, name, destination string, opts PushListOptions) (Pushed, error) {
	options, err := opts.Library()
	if err != nil {
		return Pushed{}, err
	}
	for _, format := range opts.AddCompression {
		if _, err := compression.AlgorithmByName(format); err != nil {
			return Pushed{}, fmt.Errorf("--add-compression %q: use gzip, zstd or zstd:chunked", format)
		}
	}
	out := Pushed{ID: list.ID(), Destination: destination}
	if destination == "" {
		_, resolved, err := l.LookupImage(name, &libimage.LookupImageOptions{ManifestList: true})
		if err != nil {
			return Pushed{}, explain(name, err)
		}
		if _, err := reference.ParseNamed(resolved); err != nil {
			return Pushed{}, noRegistry(name, err)
		}
		out.Destination = resolved
	}
	gpg, err := opts.gpg(ctx, out.Destination)
	if err != nil {
		return Pushed{}, err
	}
	if gpg != nil {
		defer gpg.Close(ctx)
	}
	push := &libimage.ManifestListPushOptions{CopyOptions: *options, AddCompression: opts.AddCompression}
	push.ImageListSelection = copy.CopyAllImages
	if opts.ListOnly {
		push.ImageListSelection = copy.CopySpecificImages // and none is named
	}
	err = step.Do(ctx, "image.push", func() error {
		written, err := Patiently(ctx, opts.Access, func() (digest.Digest, error) {
			return list.Push(ctx, out.Destination, push)
		})
		if out.Digest = written.String(); err != nil {
			return err
		}
		if !opts.ListOnly {
			if err := l.signInstances(ctx, gpg, out, &opts.PushOptions); err != nil {
				return err
			}
		}
		return l.signPushed(ctx, gpg, out, &opts.PushOptions)
	})
	if err != nil && strings.Contains(err.Error(), "locating item named \"manifest-") {
		return out, &Error{
			Name: name, Reason: "an image of the list was replaced since it was added, by a pull or a load", Err: err,
			Hint: "add it again with `pod manifest add`",
		}
	}
	return out, explainPush(name, destination, out.Destination, opts.PushOptions, err)
}

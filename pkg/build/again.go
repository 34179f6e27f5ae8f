package build

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.podman.io/storage"

	"github.com/rootless-pod/pod/pkg/build/progress"
	"github.com/rootless-pod/pod/pkg/build/verify"
	"github.com/rootless-pod/pod/pkg/image"
)

// Verify builds once more, without the cache and without a name, compares the
// result with the image of the first build, and removes it.
func Verify(ctx context.Context, images *image.Store, r Request, first string) (report *verify.Report, err error) {
	store, _, err := images.Builder()
	if err != nil {
		return nil, err
	}
	had, err := ids(store)
	if err != nil {
		return nil, err
	}
	o := &r.Options
	o.NoCache, o.CacheFrom, o.CacheTo = true, nil, nil
	o.Output, o.AdditionalTags, o.Manifest = "", nil, ""
	o.IIDFile, o.IIDFileRaw, o.MetadataFile, o.BuildOutputs = "", "", "", nil
	o.BuildOutput = "" //nolint:staticcheck // buildah still has it
	o.Out, o.Err, o.ReportWriter = io.Discard, io.Discard, io.Discard
	r.Key = nil
	made := map[string]bool{}
	tell := r.Progress.Event
	r.Progress.Event = func(e *progress.Event) {
		if e.ID != "" {
			made[e.ID] = true
		}
		tell(e)
	}
	defer func() { err = errors.Join(err, drop(store, had, made)) }()
	second, err := Run(ctx, images, r)
	if err != nil {
		return nil, fmt.Errorf("the second build: %w", err)
	}
	return verify.Compare(store, first, second) //nolint:wrapcheck // it says what it does
}

func ids(store storage.Store) (map[string]bool, error) {
	all, err := store.Images()
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	had := map[string]bool{}
	for i := range all {
		had[all[i].ID] = true
	}
	return had, nil
}

// drop removes the images that the second build has made. Those that the store
// had before stay.
func drop(store storage.Store, had, made map[string]bool) error {
	mine := map[string]bool{}
	for id := range made {
		if img, err := store.Image(id); err == nil && !had[img.ID] && len(img.Names) == 0 {
			mine[img.ID] = true
		}
	}
	var errs []error
	for id := range mine {
		if _, err := store.DeleteImage(id, true); err != nil && !errors.Is(err, storage.ErrImageUnknown) {
			errs = append(errs, fmt.Errorf("remove image %s of the second build: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.podman.io/storage"

	"github.com/rootless-pod/pod/pkg/build/progress"
	"github.com/rootless-pod/pod/pkg/build/verify"
	"github.com/rootless-pod/pod/pkg/image"
)

// Results has a build note the images that it ends in: one for each platform.
func (r *Request) Results() *[]string {
	var ids []string
	tell := r.Progress.Event
	r.Progress.Event = func(e *progress.Event) {
		if e.Kind == progress.Image {
			ids = append(ids, e.ID)
		}
		tell(e)
	}
	return &ids
}

// Verify builds once more, without the cache and without a name, compares the results
// with the images of the first build, each with that of its platform, and removes them.
func Verify(ctx context.Context, images *image.Store, r Request, first []string) (reports []*verify.Report, err error) {
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
	second := r.Results()
	defer func() { err = errors.Join(err, drop(store, had, made)) }()
	id, err := Run(ctx, images, r)
	if err != nil {
		return nil, fmt.Errorf("the second build: %w", err)
	}
	if len(*second) == 0 {
		*second = []string{id}
	}
	return compare(store, first, *second)
}

// compare compares the images of two builds, platform by platform.
func compare(store storage.Store, first, second []string) ([]*verify.Report, error) {
	before, err := byPlatform(store, first)
	if err != nil {
		return nil, err
	}
	after, err := byPlatform(store, second)
	if err != nil {
		return nil, err
	}
	var reports []*verify.Report
	for _, platform := range slices.Sorted(maps.Keys(before)) {
		id, ok := after[platform]
		if !ok || len(before) != len(after) {
			return nil, fmt.Errorf("the second build is for %s, the first was for %s: the base images have changed meanwhile",
				strings.Join(slices.Sorted(maps.Keys(after)), ", "), strings.Join(slices.Sorted(maps.Keys(before)), ", "))
		}
		report, err := verify.Compare(store, before[platform], id)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what it does
		}
		if len(before) > 1 {
			report.Platform = platform
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// byPlatform are images by what they are for.
func byPlatform(store storage.Store, ids []string) (map[string]string, error) {
	all := map[string]string{}
	for _, id := range ids {
		platform, err := verify.Platform(store, id)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what it does
		}
		all[platform] = id
	}
	return all, nil
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

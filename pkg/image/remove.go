package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.podman.io/common/libimage"

	"github.com/rootless-pod/pod/pkg/image/basic"
)

// RemoveOptions say how images are removed.
type RemoveOptions struct {
	// All removes every image; names must be empty then.
	All bool
	// Force removes containers of the images first, and all names of an image.
	Force bool
	// Ignore makes a missing image no error.
	Ignore bool
	// NoPrune keeps the unnamed parents.
	NoPrune bool
	// Lists removes lists of images; what is none is an error.
	Lists bool
	// RemoveContainers removes pod's containers of an image, for Force. The
	// containers of other tools are removed by the store itself.
	RemoveContainers func(imageID string) error
}

// Removed is what happened to one image.
type Removed struct {
	ID string
	// Untagged are the names taken away; Deleted says that the image is gone.
	Untagged []string
	Deleted  bool
	// Size is what the image took; only Prune fills it.
	Size int64
}

// Remove takes the names away, and removes images that have none left. It does
// what can be done and returns every error: ErrNoImage and ErrInUse among them.
func (s *Store) Remove(ctx context.Context, names []string, opts RemoveOptions) ([]Removed, []error) {
	lib, err := s.reading()
	if err != nil {
		return nil, []error{err}
	}
	defer s.forgetUses()
	if opts.All {
		return s.removeAll(ctx, lib, opts)
	}
	if len(names) == 0 {
		return nil, []error{errors.New("name an image to remove, or use --all")}
	}
	var removed []Removed
	var errs []error
	for _, name := range names {
		// One by one, so that each error can say which name it belongs to.
		got, failed := lib.RemoveImages(ctx, []string{name}, opts.library())
		removed = append(removed, reports(got)...)
		for _, err := range failed {
			errs = append(errs, s.explainRemove(ctx, name, err))
		}
	}
	return removed, s.dropMapped(ctx, removed, errs)
}

// dropMapped removes the copies for other ids of the layers of images that went.
func (s *Store) dropMapped(ctx context.Context, removed []Removed, errs []error) []error {
	if !slices.ContainsFunc(removed, func(r Removed) bool { return r.Deleted }) {
		return errs
	}
	if err := s.storage.DropMapped(ctx, s.bringing); err != nil {
		errs = append(errs, explain("remove", err))
	}
	return errs
}

// RemoveUnused removes an image by its name, or by its id if it has none; one that
// somebody uses, or that is gone, stays as it is.
func (s *Store) RemoveUnused(ctx context.Context, id, name string) error {
	if name == "" {
		name = id
	}
	_, errs := s.Remove(ctx, []string{name}, RemoveOptions{})
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool {
		return errors.Is(err, ErrInUse) || errors.Is(err, ErrNoImage)
	})...)
}

// removeAll removes every image; those that others were built on become
// removable once these are gone, so it goes on while it helps.
func (s *Store) removeAll(ctx context.Context, lib *library, opts RemoveOptions) ([]Removed, []error) {
	var removed []Removed
	for {
		images, err := lib.seen.Images()
		if err != nil {
			return removed, []error{fmt.Errorf("list images: %w", err)}
		}
		var errs []error
		progress := false
		for i := range images {
			// By filter, not by name: several names are no obstacle then.
			options := opts.library()
			options.Filters = []string{"id=" + images[i].ID}
			got, failed := lib.RemoveImages(ctx, nil, options)
			for _, err := range failed {
				errs = append(errs, s.explainRemove(ctx, images[i].ID, err))
			}
			progress = progress || len(got) > 0 && len(failed) == 0
			removed = append(removed, reports(got)...)
		}
		if len(errs) == 0 || !progress {
			return removed, s.dropMapped(ctx, removed, realErrors(errs))
		}
	}
}

// realErrors leaves out images that went away meanwhile.
func realErrors(errs []error) []error {
	var out []error
	for _, err := range errs {
		if !errors.Is(err, ErrNoImage) {
			out = append(out, err)
		}
	}
	return out
}

func (o RemoveOptions) library() *libimage.RemoveImagesOptions {
	return &libimage.RemoveImagesOptions{
		Force: o.Force, Ignore: o.Ignore, NoPrune: o.NoPrune, LookupManifest: o.Lists, RemoveContainerFunc: o.RemoveContainers,
	}
}

func reports(got []*libimage.RemoveImageReport) []Removed {
	out := make([]Removed, 0, len(got))
	for _, r := range got {
		out = append(out, Removed{ID: r.ID, Untagged: r.Untagged, Deleted: r.Removed, Size: r.Size})
	}
	return out
}

// explainRemove names the containers that need the image.
func (s *Store) explainRemove(ctx context.Context, name string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "please force removal"):
		return &Error{
			Name: name, Reason: "the image has several names", Hint: "remove it by name, or use --force",
			Kind: basic.InUse, Err: err,
		}
	case strings.Contains(text, "read-only image"):
		return &Error{Name: name, Reason: "the image is in a read-only store", Err: err}
	}
	out := explain(name, err)
	var plain *Error
	if errors.As(out, &plain) && plain.Kind == basic.InUse {
		plain.Hint = "remove " + s.usersOf(ctx, name) + " first, or use --force"
	}
	return out
}

// usersOf names the containers of an image, for a message.
func (s *Store) usersOf(ctx context.Context, name string) string {
	img, err := s.find(ctx, name)
	if err != nil {
		return "the container"
	}
	users, err := s.users()
	if err != nil || len(users[img.ID]) == 0 {
		return "the container"
	}
	short := make([]string, 0, len(users[img.ID]))
	for _, id := range users[img.ID] {
		short = append(short, id[:min(12, len(id))])
	}
	if len(short) == 1 {
		return "container " + short[0]
	}
	return "containers " + strings.Join(short, ", ")
}

// PruneOptions choose what Prune removes.
type PruneOptions struct {
	// All removes every image that no container uses, not only the dangling.
	All bool
	// Filters are those of List: label and until.
	Filters []string
	// UnusedFor spares images that were used since; nil spares none.
	UnusedFor *time.Duration
	// External, if not nil, says whether a container is another tool's: such a
	// container goes with its image.
	External func(container string) (bool, error)
}

// PruneWithin is Prune as the work of within, which on a full disk has it done again
// with more room.
func (s *Store) PruneWithin(ctx context.Context, opts PruneOptions, within func(work func() error) error) (removed []Removed, errs []error) {
	_ = within(func() error { // its error is among errs
		var gone []Removed
		gone, errs = s.Prune(ctx, opts)
		removed = append(removed, gone...)
		return errors.Join(errs...)
	})
	return removed, errs
}

// Prune removes images that nobody needs.
func (s *Store) Prune(ctx context.Context, opts PruneOptions) ([]Removed, []error) {
	lib, err := s.reading()
	if err != nil {
		return nil, []error{err}
	}
	sweepScratch()
	filters := append([]string{"readonly=false"}, opts.Filters...)
	switch {
	case opts.All && opts.External != nil:
		filters = append(filters, "containers=external")
	case opts.All:
		filters = append(filters, "containers=false")
	default:
		filters = append(filters, "dangling=true")
	}
	var all []Removed
	for {
		// Removing an image can leave its parent dangling.
		got, failed := s.pruneRound(ctx, lib, filters, opts)
		progress := false
		for _, r := range reports(got) {
			if r.Deleted || len(r.Untagged) > 0 {
				progress = true
				all = append(all, r)
			}
		}
		errs := make([]error, 0, len(failed))
		for _, err := range failed {
			// Somebody made a container meanwhile: the image is needed after all.
			if err = explain("prune", err); !errors.Is(err, ErrInUse) {
				errs = append(errs, err)
			}
		}
		if !progress || len(errs) > 0 {
			if _, err := s.storage.DropBrought(ctx, s.bringing); err != nil {
				errs = append(errs, explain("prune", err))
			}
			s.forgetUses()
			return all, errs
		}
	}
}

// pruneRound removes the images that the filters select, once.
func (s *Store) pruneRound(ctx context.Context, lib *library, filters []string, opts PruneOptions) ([]*libimage.RemoveImageReport, []error) {
	remove := &libimage.RemoveImagesOptions{
		Filters: filters, WithSize: true, ExternalContainers: opts.External != nil, IsExternalContainerFunc: opts.External,
	}
	if opts.UnusedFor == nil {
		return lib.RemoveImages(ctx, nil, remove)
	}
	list := &libimage.ListImagesOptions{Filters: filters, IsExternalContainerFunc: opts.External}
	images, err := lib.ListImages(ctx, list)
	if err != nil {
		return nil, []error{explainFilter(err)}
	}
	// Its parents may have been used since: they are asked themselves.
	remove.NoPrune = true
	var all []*libimage.RemoveImageReport
	var errs []error
	for _, img := range images {
		if !s.unusedSince(img.StorageImage(), *opts.UnusedFor) {
			continue
		}
		remove.Filters = append(slices.Clone(filters), "id="+img.ID())
		got, failed := lib.RemoveImages(ctx, nil, remove)
		all, errs = append(all, got...), append(errs, failed...)
	}
	return all, errs
}

// tagged finds an image, or a list of images, whose names are to change.
func (s *Store) tagged(ctx context.Context, name string) (*libimage.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	img, _, err := lib.LookupImage(name, &libimage.LookupImageOptions{ManifestList: true})
	if err != nil {
		return nil, explain(name, err)
	}
	return img, nil
}

// Tag gives a local image more names.
func (s *Store) Tag(ctx context.Context, name string, names ...string) error {
	img, err := s.tagged(ctx, name)
	if err != nil {
		return err
	}
	for _, more := range names {
		if err := img.Tag(more); err != nil {
			return explain(more, err)
		}
	}
	s.MarkUsed(img.ID())
	return nil
}

// Untag takes names away from a local image: all of them if none are given.
// The image stays.
func (s *Store) Untag(ctx context.Context, name string, names ...string) error {
	img, err := s.tagged(ctx, name)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = img.Names()
	}
	for _, gone := range names {
		if err := img.Untag(gone); err != nil {
			if strings.Contains(err.Error(), "tag not known") {
				return &Error{Name: gone, Reason: "tag not known: image " + name + " has no such name", Err: err}
			}
			return explain(gone, err)
		}
	}
	return nil
}

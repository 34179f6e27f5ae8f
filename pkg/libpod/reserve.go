package libpod

import (
	"context"
	"errors"

	"github.com/rootless-pod/pod/internal/reserve"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// WithReserve runs work, which frees space: with the reserve if the disk is full,
// since neither the store nor the state can delete without writing. A quota that
// the file system does not tell of is met first; then work runs once more.
func (e *Engine) WithReserve(work func() error) error {
	if reserve.Lend(e.GraphRoot) {
		defer func() { _ = e.state.RetakeReserve() }() // its lack is no failure of the work
	}
	err := work()
	if err == nil || !full(err) {
		return err
	}
	if err := e.state.FreeReserve(); err != nil {
		return err
	}
	err = work()
	// That it cannot be taken back is no failure of the work.
	_ = e.state.RetakeReserve()
	return err
}

// PruneImages removes unused images, on a full disk with the help of the reserve.
func (e *Engine) PruneImages(ctx context.Context, images *image.Store, opts image.PruneOptions) (removed []image.Removed, errs []error) {
	_ = e.WithReserve(func() error { // its error is among errs
		var gone []image.Removed
		gone, errs = images.Prune(ctx, opts)
		removed = append(removed, gone...)
		return errors.Join(errs...)
	})
	return removed, errs
}

func full(err error) bool { return errors.Is(err, state.ErrNoSpace) || storage.NoSpace(err) }

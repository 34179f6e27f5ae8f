package libpod

import (
	"errors"

	"github.com/rootless-pod/pod/internal/reserve"
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

func full(err error) bool { return errors.Is(err, state.ErrNoSpace) || storage.NoSpace(err) }

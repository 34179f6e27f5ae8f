package libpod

import (
	"errors"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// WithReserve runs work, which frees space; on a full disk it gives up the
// reserve file and runs it once more, since neither the store nor the state can
// delete without writing.
func (e *Engine) WithReserve(work func() error) error {
	err := work()
	if err == nil || !full(err) {
		return err
	}
	if err := e.state.FreeReserve(); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return e.state.EnsureReserve()
}

func full(err error) bool { return errors.Is(err, state.ErrNoSpace) || storage.NoSpace(err) }

package libpod

import (
	"context"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Init makes everything a start makes but lets no process run.
func (e *Engine) Init(ctx context.Context, nameOrID string) error {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	switch status := e.status(c); status {
	case StatusCreated, StatusExited:
	default:
		return improper("init", c.ID, c.Name, status, "only a created or stopped container can be initialized")
	}
	l, err := e.prepare(ctx, c, nil)
	if err == nil && l.net != nil {
		err = e.finishNetwork(ctx, c, l)
	}
	if err != nil {
		return e.failStart(ctx, c, err)
	}
	c.Run.Owner = state.Process{} // complete: nobody is at work on it
	return e.state.SetRun(ctx, c.ID, c.Run)
}

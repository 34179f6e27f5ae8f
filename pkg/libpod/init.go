package libpod

import (
	"context"

	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
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

// Rename gives a container another name.
func (e *Engine) Rename(ctx context.Context, nameOrID, name string) error {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	if err := specgen.CheckName(name); err != nil {
		return err
	}
	if err := e.state.Rename(ctx, c.ID, name); err != nil {
		return err
	}
	store, err := e.Storage()
	if err != nil {
		return err
	}
	if err := store.Rename(ctx, c.ID, name); err != nil {
		return err
	}
	c.Name = name
	e.event(ctx, events.Rename, c)
	return nil
}

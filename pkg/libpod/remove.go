package libpod

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// RemoveOptions say how a container is removed.
type RemoveOptions struct {
	// Force stops a running container first.
	Force bool
	// Volumes removes its anonymous volumes too.
	Volumes bool
	// Needed removes it although other containers need it.
	Needed bool
	// Timeout in seconds of that stop; nil is the container's own.
	Timeout *uint
	// infra removes the infra container of a pod, and so the pod.
	infra bool
}

// Remove removes a container. It needs room on the disk for a moment; on a full
// one the reserve is freed and it tries again.
func (e *Engine) Remove(ctx context.Context, nameOrID string, opts RemoveOptions) (*state.Container, error) {
	var c *state.Container
	err := e.WithReserve(func() (err error) {
		c, err = e.remove(ctx, nameOrID, opts)
		return err
	})
	return c, err
}

func (e *Engine) remove(ctx context.Context, nameOrID string, opts RemoveOptions) (*state.Container, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	lock, err := e.lock(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	settled, err := e.settle(ctx, c.ID)
	if err != nil {
		var absent state.ErrNoContainer
		if errors.As(err, &absent) {
			return c, nil // it was on its way out
		}
		return nil, err
	}
	c = settled
	if c.Spec.IsInfra && !opts.infra {
		return nil, fmt.Errorf("container %s is the infra container of pod %s and cannot be removed without removing the pod: use pod pod rm", c.ID, c.Spec.Pod)
	}
	if !opts.Needed {
		if err := e.checkUnneeded(ctx, c); err != nil {
			return nil, err
		}
	}
	switch status := e.status(c); status {
	case StatusRunning, StatusPaused, StatusStopping, StatusInitialized:
		if !opts.Force {
			return nil, coded(2, "cannot remove container %s as it is %s - running or paused containers cannot be removed without force: stop it first, or use --force: %w", c.ID, status, ErrStateImproper)
		}
		if err := e.forceEnd(ctx, c, opts.Timeout); err != nil {
			return nil, err
		}
	}
	return c, e.destroy(context.WithoutCancel(ctx), c, opts.Volumes)
}

// forceEnd ends a running container that is about to be removed. The lock is
// kept: conmon's exit command and a foreground command find nothing to do after.
func (e *Engine) forceEnd(ctx context.Context, c *state.Container, timeout *uint) error {
	if e.status(c) == StatusPaused {
		if runtime, err := e.runtime(c.Spec.Runtime); err == nil {
			_ = runtime.Resume(ctx, c.ID)
		}
	}
	if err := e.markStopping(ctx, c); err != nil {
		return err
	}
	if err := e.end(ctx, c, timeout); err != nil {
		return err
	}
	if err := e.awaitExitFile(ctx, c); err != nil {
		return err
	}
	x := e.readExit(c)
	if err := e.tearDown(ctx, c); err != nil {
		return err
	}
	c.Last, c.Run = x, nil
	e.eventExit(ctx, c)
	return nil
}

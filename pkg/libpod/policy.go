package libpod

import (
	"context"
	"errors"
	"time"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Back-off between restarts: it doubles from the first to the last.
const (
	firstRestartDelay = 100 * time.Millisecond
	lastRestartDelay  = time.Minute
)

// wantsRestart says whether the policy of a container that has ended starts it
// again. What the user stopped stays down.
func wantsRestart(c *state.Container) bool {
	if c.Last == nil || c.Last.Stopped {
		return false
	}
	if c.Last.Unhealthy {
		return true
	}
	switch c.Spec.Restart {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		if c.Last.Code == 0 {
			return false
		}
		return c.Spec.RestartRetries == 0 || c.Restarts < int(c.Spec.RestartRetries)
	}
	return false
}

// restartByPolicy starts a container again after its delay. Nobody holds its
// lock meanwhile: a stop or rm in between wins.
func (e *Engine) restartByPolicy(ctx context.Context, c *state.Container) error {
	delay := firstRestartDelay << min(c.Restarts, 10)
	if c.Restarts == 0 {
		delay = 0
	}
	if time.Since(c.Last.StartedAt) > lastRestartDelay {
		delay = 0 // it ran well for a while: not a crash loop
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(delay, lastRestartDelay)):
	}
	current, lock, err := e.lockContainer(ctx, c.ID)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return nil
	}
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	if current.Run != nil || !current.Wanted || !wantsRestart(current) {
		return nil
	}
	current.Restarts++
	if err := e.state.Update(ctx, current); err != nil {
		return err
	}
	if err := e.start(ctx, current, nil); err != nil {
		return err
	}
	e.event(ctx, "restart", current)
	return nil
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rootless-pod/pod/pkg/health"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
)

// Conditions of Wait that are no status: those of health checks.
const (
	conditionHealthy   = Status(health.Healthy)
	conditionUnhealthy = Status(health.Unhealthy)
)

// Wait waits until a container has one of the states (nil: stopped or exited)
// and returns its exit code. A container that is removed meanwhile has ended.
func (e *Engine) Wait(ctx context.Context, nameOrID string, conditions []Status, interval time.Duration) (int, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return -1, err
	}
	if len(conditions) == 0 {
		return e.waitOne(ctx, c)
	}
	for {
		if code, met, err := e.meets(ctx, c, conditions); met || err != nil {
			return code, err
		}
		select {
		case <-ctx.Done():
			return -1, ctx.Err()
		case <-time.After(interval):
		}
		next, err := e.state.Get(ctx, c.ID)
		var absent state.ErrNoContainer
		if errors.As(err, &absent) {
			for _, want := range conditions {
				if want == "removing" || want == "removed" {
					return codeOf(e.exit(c)), nil
				}
			}
			return -1, fmt.Errorf("container %s was removed while it was waited for", c.Name)
		}
		if err != nil {
			return -1, err
		}
		c = next
	}
}

// meets says whether a container has one of the states, and its exit code then,
// which is -1 for a state of its health.
func (e *Engine) meets(ctx context.Context, c *state.Container, conditions []Status) (code int, met bool, err error) {
	status := e.status(c)
	for _, want := range conditions {
		switch {
		case want == conditionHealthy || want == conditionUnhealthy:
			if !c.Spec.Health.Defined() {
				return -1, false, fmt.Errorf("cannot use condition %q: container %s has no healthcheck", want, c.ID)
			}
			if string(e.healthStatus(c)) == string(want) {
				return -1, true, nil
			}
		case status != want && (want != "stopped" || status != StatusExited):
		case status == StatusExited && c.Run != nil:
			code, err := e.waitOne(ctx, c) // conmon may be about to note its code
			return code, true, err
		default:
			return codeOf(e.exit(c)), true, nil
		}
	}
	return -1, false, nil
}

// waitOne waits for the end of the present run of c.
func (e *Engine) waitOne(ctx context.Context, c *state.Container) (int, error) {
	if c.Run == nil || c.Run.Init.PID == 0 || c.Run.StartedAt.IsZero() {
		if c.Run == nil {
			return codeOf(c.Last), nil
		}
		return e.waitRun(ctx, c)
	}
	x, err := ociruntime.WaitExit(ctx, e.paths.container(c.ID), c.ID, c.Run.Init, c.Run.Conmon)
	if err != nil {
		return -1, err
	}
	if !x.Unknown {
		return x.Code, nil
	}
	// Somebody cleaned up, exit file included, before we read it: the record
	// knows.
	after, err := e.state.Get(ctx, c.ID)
	if err != nil || after.Last == nil {
		return -1, nil //nolint:nilerr // removed meanwhile: the code is unknown
	}
	return after.Last.Code, nil
}

// waitRun waits for a run that another process is starting.
func (e *Engine) waitRun(ctx context.Context, c *state.Container) (int, error) {
	lock, err := e.lock(ctx, c.ID)
	if err != nil {
		return -1, err
	}
	c, err = e.settle(ctx, c.ID)
	e.unlock(lock)
	if err != nil {
		return -1, err
	}
	if c.Run == nil {
		return codeOf(c.Last), nil
	}
	return e.waitOne(ctx, c)
}

func codeOf(x *state.Exit) int {
	if x == nil {
		return 0
	}
	return x.Code
}

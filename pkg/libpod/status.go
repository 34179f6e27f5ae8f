package libpod

import (
	"context"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
)

// Status is what a container is now, in the field's words.
type Status string

// The states a user sees.
const (
	StatusCreating    Status = "creating"
	StatusCreated     Status = "created"
	StatusInitialized Status = "initialized"
	StatusRunning     Status = "running"
	StatusPaused      Status = "paused"
	StatusStopping    Status = "stopping"
	StatusExited      Status = "exited"
	StatusRemoving    Status = "removing"
)

// status tells the truth about c: what its record says, as far as the kernel
// agrees. It changes nothing.
func (e *Engine) status(c *state.Container) Status {
	rested := StatusCreated
	if c.Last != nil {
		rested = StatusExited
	}
	if c.Run == nil {
		return rested
	}
	alive := c.Run.Init.PID != 0 && c.Run.Init.Alive()
	switch c.Run.Phase {
	case state.PhaseCreating:
		return StatusCreating
	case state.PhaseRemoving:
		return StatusRemoving
	case state.PhaseInit:
		if alive {
			return StatusInitialized
		}
		return rested
	case state.PhaseRunning, state.PhasePaused:
		switch {
		case !alive:
			return StatusExited
		case c.Run.Phase == state.PhasePaused:
			return StatusPaused
		case c.Run.Stopping:
			return StatusStopping
		}
		return StatusRunning
	case state.PhaseCleaning:
		return StatusExited
	case state.PhaseStarting, state.PhaseCreated:
		return rested
	}
	return rested
}

// exit tells how the last run of c ended; nil before the first end. For a run
// whose end nobody has recorded yet, conmon's exit file is asked.
func (e *Engine) exit(c *state.Container) *state.Exit {
	if c.Run == nil || c.Run.StartedAt.IsZero() || e.status(c) != StatusExited {
		return c.Last
	}
	return e.readExit(c)
}

// readExit makes the record of an end from what conmon left.
func (e *Engine) readExit(c *state.Container) *state.Exit {
	x := &state.Exit{StartedAt: c.Run.StartedAt, Code: -1, Unknown: true, Stopped: c.Run.Stopping, Unhealthy: c.Run.Unhealthy}
	if seen, ok, err := ociruntime.ExitCode(e.paths.container(c.ID), c.ID); err == nil && ok {
		x.Code, x.Unknown, x.OOMKilled, x.FinishedAt = seen.Code, false, seen.OOM, seen.At.UTC()
	}
	return x
}

// Lookup returns the record of the container that nameOrID means.
func (e *Engine) Lookup(ctx context.Context, nameOrID string) (*state.Container, error) {
	return e.state.Lookup(ctx, nameOrID)
}

// Latest returns the newest container.
func (e *Engine) Latest(ctx context.Context) (*state.Container, error) {
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, state.ErrNoContainer{Name: "--latest"}
	}
	return all[len(all)-1], nil
}

// Status is the status of a record that Lookup or List returned.
func (e *Engine) Status(c *state.Container) Status { return e.status(c) }

// Exit is how the last run of a record ended, nil before the first end.
func (e *Engine) Exit(c *state.Container) *state.Exit { return e.exit(c) }

// ownedBy says whether the pod process that is at work on c still lives.
func ownedBy(owner process.ID) bool { return owner.PID != 0 && owner.Alive() }

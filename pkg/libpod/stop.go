package libpod

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// defaultStopTimeout in seconds, the field's.
const defaultStopTimeout = 10

// Stop asks a container to end, and kills it when the timeout (seconds; nil:
// the container's own) has run out. A container that does not run is no error.
func (e *Engine) Stop(ctx context.Context, nameOrID string, timeout *uint) (*state.Container, error) {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	switch status := e.status(c); status {
	case StatusRunning, StatusStopping, StatusInitialized:
	case StatusPaused:
		e.unlock(lock)
		return nil, improper("stop", c.ID, c.Name, status, "unpause it first")
	default:
		defer e.unlock(lock)
		e.dropRestart(ctx, c)
		return c, e.unwant(ctx, c)
	}
	err = e.markStopping(ctx, c)
	e.unlock(lock) // waiting is done without it
	if err != nil {
		return nil, err
	}
	if err := e.end(ctx, c, timeout); err != nil {
		return nil, err
	}
	e.event(ctx, "stop", c)
	return c, e.settled(ctx, c.ID)
}

// unwant records that the user does not want the container up.
func (e *Engine) unwant(ctx context.Context, c *state.Container) error {
	if !c.Wanted {
		return nil
	}
	c.Wanted = false
	return e.WithReserve(func() error { return e.state.Update(ctx, c) })
}

// markStopping records the user's wish, so that no policy starts it again.
func (e *Engine) markStopping(ctx context.Context, c *state.Container) error {
	if err := e.unwant(ctx, c); err != nil {
		return err
	}
	c.Run.Stopping = true
	return e.state.SetRun(ctx, c.ID, c.Run)
}

// end makes the container's first process end.
func (e *Engine) end(ctx context.Context, c *state.Container, timeout *uint) error {
	seconds := e.StopTimeout(c)
	if timeout != nil {
		seconds = *timeout
	}
	if seconds > 0 {
		signal, err := specgen.ParseSignal(stopSignal(c))
		if err != nil {
			return err
		}
		if err := e.signal(ctx, c, signal, false); err != nil {
			return err
		}
		ended, err := e.endsWithin(ctx, c, time.Duration(seconds)*time.Second)
		if err != nil || ended {
			return err
		}
		if e.Warn != nil {
			e.Warn(fmt.Sprintf("StopSignal %s failed to stop container %s in %d seconds, resorting to SIGKILL", stopSignal(c), c.Name, seconds))
		}
	}
	if err := e.signal(ctx, c, syscall.SIGKILL, c.Spec.Spaces.PID == "host"); err != nil {
		return err
	}
	return c.Run.Init.Wait(ctx)
}

func stopSignal(c *state.Container) string {
	if c.Spec.Process.StopSignal == "" {
		return "SIGTERM"
	}
	return c.Spec.Process.StopSignal
}

// endsWithin waits for the container's first process, but not longer than d.
func (e *Engine) endsWithin(ctx context.Context, c *state.Container, d time.Duration) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err := step.Do(ctx, "stop.wait", func() error { return c.Run.Init.Wait(limited) })
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		return false, nil
	}
	return err == nil, err
}

// signal sends a signal to the container's first process, or to all of them
// through the runtime. A process that is gone is no error.
func (e *Engine) signal(ctx context.Context, c *state.Container, sig syscall.Signal, all bool) error {
	return step.Do(ctx, "signal", func() error {
		if !all {
			// The kernel's own door: no runtime to start, and never the wrong process.
			err := c.Run.Init.Signal(sig)
			if err == nil || !c.Run.Init.Alive() {
				return nil
			}
			return fmt.Errorf("send %s to container %s: %w", unix.SignalName(sig), short(c.ID), err)
		}
		runtime, err := e.runtime(c.Spec.Runtime)
		if err != nil {
			return err
		}
		err = runtime.Kill(ctx, c.ID, sig, true)
		if err == nil || ociruntime.KindOf(err) == ociruntime.KindNotRunning {
			return nil
		}
		return fmt.Errorf("send %s to all processes of container %s: %w", unix.SignalName(sig), c.Name, err)
	})
}

// settled waits until a container that has ended is cleaned up, by doing it if
// nobody else does. A foreground command that waits for the container cleans up
// itself; the lock orders the two.
func (e *Engine) settled(ctx context.Context, id string) error {
	lock, err := e.lock(ctx, id)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	_, err = e.settle(ctx, id)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return nil
	}
	return err
}

// awaitExitFile gives conmon the moment it needs to note the exit code.
func (e *Engine) awaitExitFile(ctx context.Context, c *state.Container) error {
	if c.Run.Init.PID == 0 {
		return nil
	}
	_, err := ociruntime.WaitExit(ctx, e.paths.container(c.ID), c.ID, c.Run.Init, c.Run.Conmon)
	return err
}

// Kill sends a signal to a container that runs.
func (e *Engine) Kill(ctx context.Context, nameOrID string, sig syscall.Signal) (*state.Container, error) {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	switch status := e.status(c); status {
	case StatusRunning, StatusStopping, StatusPaused, StatusInitialized:
	default:
		return nil, fmt.Errorf("can only kill running containers. %s is in state %s: %w", c.ID, status, ErrStateImproper)
	}
	if sig == syscall.SIGKILL || sig == syscall.SIGTERM {
		if err := e.markStopping(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := e.signal(ctx, c, sig, false); err != nil {
		return nil, err
	}
	e.event(ctx, "kill", c)
	return c, nil
}

// Restart stops a container, if it runs, and starts it.
func (e *Engine) Restart(ctx context.Context, nameOrID string, timeout *uint) (*state.Container, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	if c.Spec.Remove && e.status(c) == StatusRunning {
		return nil, fmt.Errorf("container %s was made with --rm: stopping it removes it, so it cannot be restarted", c.Name)
	}
	between, err := e.lock(ctx, restartLock(c.ID)) // followers of the log wait for it
	if err != nil {
		return nil, err
	}
	defer e.unlock(between)
	if _, err := e.Stop(ctx, c.ID, timeout); err != nil {
		return nil, err
	}
	if c, err = e.Start(ctx, c.ID); err != nil {
		return nil, err
	}
	e.event(ctx, "restart", c)
	return c, nil
}

// Pause freezes a container; Unpause lets it go on.
func (e *Engine) Pause(ctx context.Context, nameOrID string, pause bool) (*state.Container, error) {
	return e.freeze(ctx, nameOrID, pause, process.ID{})
}

// freeze is Pause by a process, if one is named, which will let it go on.
func (e *Engine) freeze(ctx context.Context, nameOrID string, pause bool, owner process.ID) (*state.Container, error) {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	want, verb, phase := StatusRunning, "pause", state.PhasePaused
	if !pause {
		want, verb, phase = StatusPaused, "unpause", state.PhaseRunning
	}
	if status := e.status(c); status != want {
		return nil, fmt.Errorf("%q is not %s, can't %s: %w", c.ID, want, verb, ErrStateImproper)
	}
	if c.Run.Cgroup == "" || e.cgroupPlan().manager == "" {
		return nil, fmt.Errorf("%s container %s: it has no cgroup of its own here (%s)", verb, c.Name, e.cgroupPlan().reason)
	}
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return nil, err
	}
	freeze := runtime.Pause
	if !pause {
		freeze = runtime.Resume
	}
	if pause && owner.PID != 0 { // first the note that it is not for ever
		c.Run.Owner = owner
		if err := e.state.SetRun(ctx, c.ID, c.Run); err != nil {
			return nil, err
		}
	}
	if err := step.Do(ctx, verb, func() error { return freeze(ctx, c.ID) }); err != nil {
		return nil, err
	}
	c.Run.Phase, c.Run.Owner = phase, owner
	if err := e.state.SetRun(ctx, c.ID, c.Run); err != nil {
		return nil, err
	}
	e.pauseHealth(ctx, c, pause)
	if pause {
		e.event(ctx, "pause", c)
	} else {
		e.event(ctx, "unpause", c)
	}
	return c, nil
}

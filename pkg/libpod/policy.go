package libpod

import (
	"context"
	"errors"
	"time"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Back-off between restarts: none before the first, then it doubles from the
// shortest to the longest, until a run holds for as long as healthyRun.
const (
	shortestBackoff = 100 * time.Millisecond
	longestBackoff  = time.Minute
	healthyRun      = 10 * time.Second
)

// RestartVerb is the hidden command that a restart's timer runs.
const RestartVerb = "__restart"

func hasPolicy(c *state.Container) bool { return c.Spec.Restart != "" && c.Spec.Restart != "no" }

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

// StartsAtBoot says whether a boot starts the container. Of the user's stop
// always takes no notice then, as the field documents; and what was never
// started is not brought back. on-failure is about the end of a run alone.
func StartsAtBoot(c *state.Container) bool {
	switch c.Spec.Restart {
	case "always":
		return c.Wanted || c.Last != nil
	case "unless-stopped":
		return c.Wanted
	}
	return false
}

// backoff is the delay before the next restart.
func backoff(c *state.Container) time.Duration {
	n := quickEnds(c)
	if n == 0 {
		return 0
	}
	return min(shortestBackoff<<min(n-1, 16), longestBackoff)
}

// quickEnds counts restarts in a row of which none held. An error with the last
// end is that of an attempt after it.
func quickEnds(c *state.Container) int {
	if c.Last.Error == "" && c.Last.FinishedAt.Sub(c.Last.StartedAt) >= healthyRun {
		return 0
	}
	return c.QuickEnds
}

func restartTimer(id string) string { return "restart-" + id }

// planRestart has a container that has ended started again if its policy says
// so. It comes before the end is recorded: whoever is killed between the two, the
// restart finds the rest to do, and is not lost. Nothing waits here, and nobody
// holds the lock meanwhile: a stop or rm in between wins.
func (e *Engine) planRestart(ctx context.Context, c *state.Container) {
	if !c.Wanted || !wantsRestart(c) {
		return
	}
	err := e.timers().Set(ctx, e.job(restartTimer(c.ID), backoff(c), 0, "container", RestartVerb, c.ID))
	if err != nil && e.Warn != nil {
		// systemd starts nothing while it shuts down; then the next boot does.
		e.Warn("container " + c.Name + " is not started again: " + err.Error())
	}
}

// dropRestart forgets a restart that is no longer wanted. A restart that comes
// nevertheless looks before it starts anything, so that an error here harms
// nobody.
func (e *Engine) dropRestart(ctx context.Context, c *state.Container) {
	if hasPolicy(c) && c.Last != nil {
		_ = e.timers().Clear(ctx, restartTimer(c.ID))
	}
}

// RestartByPolicy is what a restart's timer does: it starts the container, if
// that is still what its policy and the user want. A start that does not work is
// tried again, with the same back-off as a run that does not hold.
func (e *Engine) RestartByPolicy(ctx context.Context, id string) error {
	c, lock, err := e.lockContainer(ctx, id)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return nil
	}
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	if c.Run != nil || !c.Wanted || !wantsRestart(c) {
		return nil
	}
	c.QuickEnds = quickEnds(c) + 1
	c.Restarts++
	if err := step.Do(ctx, "state.restart", func() error { return e.state.Update(ctx, c) }); err != nil {
		return err
	}
	if err := e.start(ctx, c, nil); err != nil {
		c.Last.Error = err.Error()
		e.planRestart(ctx, c)
		return errors.Join(err, e.state.Update(ctx, c))
	}
	e.event(ctx, "restart", c)
	return nil
}

package libpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/health"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// A container's checks are made by a job of its name, which runs `pod healthcheck
// run`; nothing waits in between. The job is set before the run is recorded and
// cleared when it ends, and a check that finds no run to check clears its own job.
// One check is made at a time: each holds the lock health-ID.

// envNoHealthTimers names the field's variable that switches timers off.
const envNoHealthTimers = "DISABLE_HC_SYSTEMD"

func healthJob(id string) string { return "health-" + id }

// Files of a container's checks in its run directory.
func (e *Engine) healthFile(id string) string {
	return filepath.Join(e.paths.container(id), "health.json")
}
func (e *Engine) checkDir(id string) string { return filepath.Join(e.paths.container(id), "check") }

// HealthCheck runs the check of a container and returns what came of it: Healthy,
// Unhealthy (this check failed), Starting (the start-up check failed) or Stopped.
// byTimer: a job asks; then it is no error that there is nothing to check.
func (e *Engine) HealthCheck(ctx context.Context, nameOrID string, byTimer bool) (health.Status, error) {
	c, err := e.checkable(ctx, nameOrID)
	if err != nil {
		if byTimer {
			return "", e.dropHealthJob(ctx, nameOrID, err)
		}
		return "", err
	}
	lock, err := e.healthLock(ctx, c.ID, byTimer)
	if lock == nil {
		return "", err // a user's check is under way, or the wait was given up
	}
	defer e.unlock(lock)
	// The one before it may have ended the container.
	if c, err = e.checkable(ctx, c.ID); err != nil {
		if byTimer {
			return "", e.dropHealthJob(ctx, nameOrID, err)
		}
		return "", err
	}
	st, err := e.health(c)
	if err != nil {
		return "", err
	}
	if st.Pending != "" { // whoever was to do it was killed
		return st.Status, e.actOnHealth(ctx, c, &st)
	}
	startup := st.InStartup(&c.Spec.Health)
	entry, failed, err := e.check(ctx, c, startup)
	if err != nil {
		return "", err
	}
	if err := e.recordHealth(ctx, c, &st, entry); err != nil {
		return "", err
	}
	if startup && st.Startup.Passed {
		err = e.setHealthJob(ctx, c, 0, c.Spec.Health.Every())
	}
	if st.Pending != "" {
		err = errors.Join(err, e.actOnHealth(ctx, c, &st))
	}
	if !byTimer {
		err = errors.Join(err, failed)
	}
	return outcome(entry, &st, startup), err
}

// outcome is what a check says to who asked for it.
func outcome(entry health.Entry, st *health.State, startup bool) health.Status {
	switch {
	case entry.ExitCode == health.CodeOK:
		return health.Healthy
	case st.Status == health.Stopped:
		return health.Stopped
	case startup:
		return health.Starting
	}
	return health.Unhealthy
}

// checkable is a container that runs and has a check.
func (e *Engine) checkable(ctx context.Context, nameOrID string) (*state.Container, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, fmt.Errorf("unable to look up %s to perform a health check: %w", nameOrID, err)
	}
	if c.Run != nil && ownedBy(c.Run.Owner) {
		// It is being started: the start holds its lock.
		if lock, err := e.lock(ctx, c.ID); err == nil {
			e.unlock(lock)
		}
		if c, err = e.state.Get(ctx, c.ID); err != nil {
			return nil, err
		}
	}
	if !c.Spec.Health.Defined() {
		return nil, fmt.Errorf("container %s has no defined healthcheck", c.ID)
	}
	if e.status(c) != StatusRunning {
		return nil, fmt.Errorf("container %s is not running: %w", c.ID, ErrStateImproper)
	}
	return c, nil
}

// dropHealthJob clears the job of a container that has nothing to check, unless it
// is paused or being ended by a stop.
func (e *Engine) dropHealthJob(ctx context.Context, id string, cause error) error {
	c, err := e.state.Get(ctx, id)
	if err != nil && !isAbsent(err) {
		return err
	}
	if err == nil && c.Spec.Health.Defined() {
		switch e.status(c) {
		case StatusRunning, StatusPaused, StatusStopping:
			return nil
		case StatusExited:
			if c.Run != nil {
				// Nobody has noticed its end: conmon was killed.
				return e.Cleanup(ctx, id)
			}
		}
	}
	if !isAbsent(cause) && !errors.Is(cause, ErrStateImproper) {
		return cause
	}
	return e.timers().Clear(ctx, healthJob(id))
}

// healthLock takes the lock of the checks; nil without an error if a job finds it
// taken.
func (e *Engine) healthLock(ctx context.Context, id string, byTimer bool) (*state.Lock, error) {
	if !byTimer {
		return e.state.Lock(ctx, healthJob(id))
	}
	lock, ok, err := e.state.TryLock(healthJob(id))
	if err != nil || !ok {
		return nil, err
	}
	return lock, nil
}

// check makes one check. failed is why it could not be made to its end.
func (e *Engine) check(ctx context.Context, c *state.Container, startup bool) (entry health.Entry, failed, err error) {
	test, limit := c.Spec.Health.Test, c.Spec.Health.Limit()
	if startup {
		test, limit = c.Spec.Health.Startup.Test, c.Spec.Health.Startup.Limit()
	}
	command := specgen.HealthCommand(test)
	proc, err := e.execProcess(ctx, c, ExecOptions{Command: command})
	if err != nil {
		return entry, nil, err
	}
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return entry, nil, err
	}
	if place := e.execPlace(c); place != nil {
		if err := place(ctx, os.Getpid()); err != nil {
			return entry, nil, err
		}
	}
	output := health.NewOutput(c.Spec.Health.LogSize())
	entry.Start = time.Now()
	var result ociruntime.CheckResult
	failed = step.Do(ctx, "health.check", func() error {
		result, err = runtime.Check(ctx, ociruntime.CheckOptions{
			ContainerID: c.ID, First: c.Run.Init, RunDir: e.checkDir(c.ID), Process: proc, Timeout: limit, Output: output,
		})
		return err
	})
	entry.End, entry.Output = time.Now(), output.String()
	var refused *ociruntime.Error
	switch {
	case result.TimedOut:
		entry.ExitCode = health.CodeTimeout
		failed = errors.Join(fmt.Errorf("healthcheck command exceeded timeout of %s", limit), failed)
	case errors.As(failed, &refused):
		// A command that cannot be started has failed, as in the field.
		entry.ExitCode, entry.Output = health.CodeFailed, e.execError(ctx, c, command, failed).Error()+"\n"
		failed = nil
	case failed != nil:
		entry.ExitCode = health.CodeError
	case result.Code != 0:
		entry.ExitCode = health.CodeFailed
	}
	return entry, failed, nil
}

// recordHealth adds a check to what is known, and says so.
func (e *Engine) recordHealth(ctx context.Context, c *state.Container, st *health.State, entry health.Entry) error {
	h := &c.Spec.Health
	st.Record(h, entry, !c.Run.Init.Alive())
	err := step.Do(ctx, "health.record", func() error { return e.saveHealth(c, st) })
	if err != nil {
		if missing(e.paths.container(c.ID)) {
			return nil // removed under its check
		}
		return err
	}
	if !e.Config.Engine.HealthcheckEvents {
		return nil
	}
	ev := containerEvent(events.HealthStatus, c)
	ev.Health, ev.FailingStreak = string(st.Status), st.FailingStreak
	if h.LogTo() == specgen.HealthLogEvents {
		last, err := json.Marshal(st.Log[len(st.Log)-1])
		if err != nil {
			return fmt.Errorf("encode a health check: %w", err)
		}
		ev.HealthLog = string(last)
	}
	e.write(ctx, ev)
	return nil
}

// saveHealth writes what is known, and what the user wants to read in a directory
// of his own.
func (e *Engine) saveHealth(c *state.Container, st *health.State) error {
	if err := st.Save(e.healthFile(c.ID)); err != nil {
		return err
	}
	if dir := c.Spec.Health.LogDir(); dir != "" {
		return st.SaveResults(filepath.Join(dir, c.ID+"-healthcheck.log"))
	}
	return nil
}

// health is what is known of a container's health, of its present run or the last.
// A container without checks has none.
func (e *Engine) health(c *state.Container) (health.State, error) {
	if !c.Spec.Health.Defined() {
		return health.State{}, nil
	}
	var began time.Time
	switch {
	case c.Run != nil && !c.Run.StartedAt.IsZero():
		began = c.Run.StartedAt
	case c.Last != nil:
		began = c.Last.StartedAt
	default:
		return health.State{}, nil
	}
	st, err := health.Load(e.healthFile(c.ID))
	if err == nil && !st.Run.Equal(began) {
		st = health.Begin(began)
	}
	return st, err
}

// healthStatus is the status alone; empty without checks.
func (e *Engine) healthStatus(c *state.Container) health.Status {
	st, err := e.health(c)
	if err != nil {
		return ""
	}
	return st.Status
}

// actOnHealth does to an unhealthy container what its description asks for, and
// notes that it is done.
func (e *Engine) actOnHealth(ctx context.Context, c *state.Container, st *health.State) error {
	err := step.Do(ctx, "health.act", func() error {
		switch st.Pending {
		case specgen.OnFailureKill:
			_, err := e.Kill(ctx, c.ID, syscall.SIGKILL)
			return err
		case specgen.OnFailureStop:
			_, err := e.Stop(ctx, c.ID, nil)
			return err
		case specgen.OnFailureRestart:
			return e.restartUnhealthy(ctx, c)
		}
		return nil
	})
	if err != nil && !isAbsent(err) && !errors.Is(err, ErrStateImproper) {
		return fmt.Errorf("%s container %s, which turned unhealthy: %w", st.Pending, c.Name, err)
	}
	st.Pending = ""
	if err := e.saveHealth(c, st); err != nil && !missing(e.paths.container(c.ID)) {
		return err
	}
	return nil
}

// restartUnhealthy ends a container so that whoever cleans up behind it starts it
// again, as by a restart policy: a start of ours would be the job's child.
func (e *Engine) restartUnhealthy(ctx context.Context, c *state.Container) error {
	current, lock, err := e.lockContainer(ctx, c.ID)
	if err != nil {
		return err
	}
	if e.status(current) != StatusRunning || !current.Run.StartedAt.Equal(c.Run.StartedAt) {
		e.unlock(lock)
		return nil
	}
	current.Run.Unhealthy = true
	err = e.state.SetRun(ctx, current.ID, current.Run)
	e.unlock(lock)
	if err != nil {
		return err
	}
	return e.end(ctx, current, nil)
}

// beginHealth sets the job of a container that has just started. That no timer can
// be had is no reason to end it.
func (e *Engine) beginHealth(ctx context.Context, c *state.Container) {
	h := &c.Spec.Health
	if !h.Defined() {
		return
	}
	if every := firstInterval(h); every > 0 {
		e.warnHealth(c, e.setHealthJob(ctx, c, 0, every))
	}
}

func (e *Engine) warnHealth(c *state.Container, err error) {
	if err != nil && e.Warn != nil {
		e.Warn("health checks of container " + c.Name + " are not made by themselves: " + err.Error())
	}
}

// setHealthJob has a container checked every so often; 0: not by itself.
func (e *Engine) setHealthJob(ctx context.Context, c *state.Container, after, every time.Duration) error {
	if os.Getenv(envNoHealthTimers) == "true" {
		return nil
	}
	if every == 0 {
		return e.timers().Clear(ctx, healthJob(c.ID))
	}
	return e.timers().Set(ctx, e.job(healthJob(c.ID), after, every, "healthcheck", "run", "--ignore-result", "--timer", c.ID))
}

// rebaseHealth brings the checks of a container in line with a changed
// description; what is known of its health begins anew.
func (e *Engine) rebaseHealth(ctx context.Context, c *state.Container) error {
	if status := e.status(c); status != StatusRunning && status != StatusPaused {
		return nil
	}
	if !c.Spec.Health.Defined() {
		return e.timers().Clear(ctx, healthJob(c.ID))
	}
	st := health.Begin(c.Run.StartedAt)
	if err := e.saveHealth(c, &st); err != nil || c.Run.Phase == state.PhasePaused {
		return err
	}
	return e.setHealthJob(ctx, c, 0, firstInterval(&c.Spec.Health))
}

// firstInterval is how often a container is checked after its start.
func firstInterval(h *specgen.Health) time.Duration {
	if h.Startup != nil {
		return h.Startup.Every()
	}
	return h.Every()
}

// endHealth ends what a run has of checks: their job, and one under way.
func (e *Engine) endHealth(ctx context.Context, c *state.Container) error {
	if c.Run == nil || c.Run.Init.PID == 0 || !c.Spec.Health.Defined() {
		return nil
	}
	return step.Do(ctx, "health.end", func() error {
		return errors.Join(e.timers().Clear(ctx, healthJob(c.ID)), ociruntime.EndCheck(ctx, e.checkDir(c.ID), c.Run.Init))
	})
}

// pauseHealth stops the checks of a container that is paused, and lets them go on.
func (e *Engine) pauseHealth(ctx context.Context, c *state.Container, pause bool) {
	if !c.Spec.Health.Defined() {
		return
	}
	if pause {
		e.warnHealth(c, e.timers().Clear(ctx, healthJob(c.ID)))
		return
	}
	st, err := e.health(c)
	if err != nil {
		e.warnHealth(c, err)
		return
	}
	every := c.Spec.Health.Every()
	if st.InStartup(&c.Spec.Health) {
		every = c.Spec.Health.Startup.Every()
	}
	e.warnHealth(c, e.setHealthJob(ctx, c, every, every))
}

// resumeHealth sets the jobs of containers that should have been checked by now
// again: they are lost where a start was killed, or systemd was.
func (e *Engine) resumeHealth(ctx context.Context) error {
	all, err := e.state.Active(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		h := &c.Spec.Health
		if !h.Defined() || e.status(c) != StatusRunning {
			continue
		}
		st, err := e.health(c)
		if err != nil {
			return err
		}
		every, limit := h.Every(), h.Limit()
		if st.InStartup(h) {
			every, limit = h.Startup.Every(), h.Startup.Limit()
		}
		last := st.Run
		if n := len(st.Log); n > 0 {
			last = st.Log[n-1].End
		}
		if every > 0 && time.Since(last) > 2*every+limit {
			if err := e.setHealthJob(ctx, c, 0, every); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkHealthLog refuses a directory for the log that is none.
func checkHealthLog(h *specgen.Health) error {
	dir := h.LogDir()
	if dir == "" || !h.Defined() {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("HealthCheck Log '%s' destination error: %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("HealthCheck Log '%s' destination must be directory", dir)
	}
	return nil
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/hook"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/ownmount"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Cleanup is what conmon's exit command does: it records the end of a container
// and removes what the run needed, or the container if it is to go, or has it
// started again if its policy says so. Of several callers the first does the work.
func (e *Engine) Cleanup(ctx context.Context, nameOrID string) error {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		var absent state.ErrNoContainer
		if errors.As(err, &absent) {
			return nil // somebody was faster
		}
		return err
	}
	lock, err := e.lock(ctx, c.ID)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	if _, err := e.settle(ctx, c.ID); !isAbsent(err) {
		return err
	}
	return nil
}

// finish records the end of a run and removes what belonged to the run. c is
// locked, its first process has ended.
func (e *Engine) finish(ctx context.Context, c *state.Container) error {
	ctx = context.WithoutCancel(ctx)
	x := e.readExit(c)
	if x.FinishedAt.IsZero() {
		x.FinishedAt = time.Now().UTC()
	}
	if c.Run.Phase != state.PhaseCleaning {
		c.Run.Phase, c.Run.Owner = state.PhaseCleaning, process.Self()
		if err := step.Do(ctx, "state.cleaning", func() error { return e.state.SetRun(ctx, c.ID, c.Run) }); err != nil {
			return err
		}
	}
	started := !c.Run.StartedAt.IsZero()
	if err := e.tearDown(ctx, c); err != nil {
		return err
	}
	if !started {
		if err := e.state.SetRun(ctx, c.ID, nil); err != nil {
			return err
		}
		c.Run = nil
		return nil
	}
	c.Last, c.Run = x, nil
	e.eventExit(ctx, c)
	if c.Spec.Remove {
		err := e.destroy(ctx, c, true)
		if err == nil && c.Spec.RemoveImage {
			e.removeImage(ctx, c)
		}
		return errors.Join(err, e.leavePod(ctx, c))
	}
	e.planRestart(ctx, c)
	if err := step.Do(ctx, "state.finish", func() error { return e.state.Finish(ctx, c.ID, *x) }); err != nil {
		return err
	}
	e.event(ctx, events.Cleanup, c)
	return e.leavePod(ctx, c)
}

// leavePod ends the pod of a container that has ended, if that is the pod's policy.
// The lock of the container is held while that of the infra container is taken,
// never the other way round.
func (e *Engine) leavePod(ctx context.Context, c *state.Container) error {
	if c.Spec.Pod == "" || c.Spec.IsInfra || c.Spec.InitCtr != "" {
		return nil
	}
	return e.exitPolicy(ctx, c.Spec.Pod)
}

// tearDown removes what a run made, as far as it is there: runtime, network,
// mount. It is safe to repeat.
func (e *Engine) tearDown(ctx context.Context, c *state.Container) error {
	errs := []error{e.endHealth(ctx, c)}
	errs = append(errs, step.Do(ctx, "runtime.delete", func() error { return e.deleteProcess(ctx, c) }))
	if c.Spec.IsInfra && inPodCgroup(c) {
		e.dropPodCgroup(&state.Pod{ID: c.Spec.Pod, Spec: specgen.Pod{Resources: specgen.Resources{CgroupParent: c.Spec.Resources.CgroupParent}}})
	}
	if c.Run != nil && len(c.Run.Poststop) > 0 {
		_ = step.Do(ctx, "hooks.poststop", func() error { e.runPoststop(ctx, c); return nil })
	}
	errs = append(errs, step.Do(ctx, "network.teardown", func() error { return e.endNetwork(ctx, c) }))
	if s := &c.Spec.Spaces; s.Mapped() || s.User != "" {
		errs = append(errs, step.Do(ctx, "root.hide", func() error { return ownmount.Unreach(c.ID) }))
	}
	if _, joins := joinsIPC(c); joins || len(c.Spec.Storage.Mounts) > 0 || c.Spec.RootfsOption != "" {
		errs = append(errs, step.Do(ctx, "mounts.release", func() error { return e.dropOwnMounts(c.ID) }))
	}
	if usesVolumes(c) {
		errs = append(errs, e.releaseVolumes(ctx, c))
	}
	if c.Spec.Layered() {
		errs = append(errs, step.Do(ctx, "storage.unmount", func() error {
			store, err := e.Storage()
			if err != nil {
				return err
			}
			return e.endMount(ctx, store, c.ID)
		}))
	}
	return errors.Join(errs...)
}

// runPoststop runs the OCI hooks of an end. That one fails is no reason to keep
// the container (runtime-spec, lifecycle); a kill in between has them run again.
func (e *Engine) runPoststop(ctx context.Context, c *state.Container) {
	err := hook.Run(ctx, c.Run.Poststop, rspec.State{
		Version: rspec.Version, ID: c.ID, Status: rspec.StateStopped,
		Bundle: e.paths.container(c.ID), Annotations: c.Spec.Annotations,
	})
	if err != nil {
		e.Warn(err.Error())
	}
}

// deleteProcess has the runtime forget the container. A killed start may have
// left a conmon or a runtime whose pid nobody recorded; they are found by the
// files they leave in the container's run directory.
func (e *Engine) deleteProcess(ctx context.Context, c *state.Container) error {
	if c.Run != nil && c.Run.Init.PID == 0 {
		// Also without a bundle: such a conmon goes on when its gate's other end is
		// gone, and would take the next start's bundle for its own.
		for _, m := range e.monitors(c.ID) {
			endMonitor(ctx, m)
		}
	}
	dir := e.paths.container(c.ID)
	if _, err := os.Stat(filepath.Join(dir, "config.json")); errors.Is(err, os.ErrNotExist) {
		return nil // the runtime never saw it
	}
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return err
	}
	if done, err := e.forget(c, runtime); done || err != nil {
		return err
	}
	if err := runtime.Delete(ctx, c.ID, true); err != nil {
		return fmt.Errorf("delete container %s from the runtime: %w", short(c.ID), err)
	}
	if cgroup := e.cgroupsPath(c); filepath.IsAbs(cgroup) && strings.Contains(cgroup, c.ID) {
		return ociruntime.EndCgroup(ctx, filepath.Join(cgroupRoot, cgroup))
	}
	return nil
}

// forget is the short way after an ordinary end: the first process was seen to
// end, and with its pid namespace all others did. It says whether it was taken.
func (e *Engine) forget(c *state.Container, runtime *ociruntime.Runtime) (bool, error) {
	if c.Run == nil || c.Run.Init.PID == 0 || c.Run.StartedAt.IsZero() || c.Run.Init.Alive() {
		return false, nil
	}
	if pid := c.Spec.Spaces.PID; pid != "" && pid != "private" {
		return false, nil
	}
	cgroup := ""
	if e.cgroupsPath(c) != "" {
		if !strings.Contains(c.Run.Cgroup, c.ID) {
			return false, nil // not the container's own: the runtime knows where that is
		}
		cgroup = filepath.Join(cgroupRoot, c.Run.Cgroup)
	}
	return runtime.Forget(c.ID, cgroup)
}

// destroy removes a container wholly: its run has been torn down or never was.
// The record goes last, so that a kill in between leaves a row that says so.
func (e *Engine) destroy(ctx context.Context, c *state.Container, volumes bool) error {
	e.dropRestart(ctx, c)
	until := usedUntil(c)
	c.Run = &state.Run{Phase: state.PhaseRemoving, Owner: process.Self(), Volumes: volumes}
	if err := step.Do(ctx, "state.removing", func() error { return e.state.SetRun(ctx, c.ID, c.Run) }); err != nil {
		return err
	}
	if err := step.Do(ctx, "storage.delete", func() error {
		if !c.Spec.Layered() {
			return nil
		}
		if !c.Volatile && e.DeleteStorage != nil {
			if done, err := e.DeleteStorage(ctx, c.ID); done || err != nil {
				return err
			}
		}
		store, err := e.Storage()
		if err != nil {
			return err
		}
		return store.Delete(ctx, c.ID)
	}); err != nil {
		return err
	}
	if err := step.Do(ctx, "files.remove", func() error { return e.removeFiles(c) }); err != nil {
		return err
	}
	if volumes && len(c.AnonymousVolumes) > 0 {
		if err := step.Do(ctx, "volumes.remove", func() error { return e.dropVolumes(ctx, c) }); err != nil {
			return err
		}
	}
	e.markUsed(c, until)
	remove := func() error { return e.state.Remove(ctx, c.ID) }
	if c.Spec.IsInfra {
		remove = func() error { return e.removeInfra(ctx, c) }
	}
	if err := step.Do(ctx, "state.remove", remove); err != nil {
		return err
	}
	e.event(ctx, "remove", c)
	return nil
}

// removeFiles removes the container's directories.
func (e *Engine) removeFiles(c *state.Container) error {
	if err := e.dropOwnFiles(c.ID); err != nil {
		return fmt.Errorf("remove run directory of container %s: %w", short(c.ID), err)
	}
	if c.Spec.CIDFile != "" && c.Spec.Remove {
		_ = os.Remove(c.Spec.CIDFile)
	}
	if c.Spec.Log.File() && c.Spec.Log.Path == "" {
		if err := os.RemoveAll(e.logDir(c.ID)); err != nil {
			return fmt.Errorf("remove log of container %s: %w", short(c.ID), err)
		}
	}
	return nil
}

// settle brings the record of a locked container in line with the kernel: it
// finishes or undoes what a killed process began.
func (e *Engine) settle(ctx context.Context, id string) (*state.Container, error) {
	c, err := e.state.Get(ctx, id)
	if err != nil || c.Run == nil {
		return c, err
	}
	fresh := true
	err = e.WithReserve(func() (err error) {
		if !fresh {
			if c, err = e.state.Get(ctx, id); err != nil || c.Run == nil {
				return err
			}
		}
		fresh = false
		c, err = e.settleOnce(ctx, c)
		return err
	})
	return c, err
}

func (e *Engine) settleOnce(ctx context.Context, c *state.Container) (*state.Container, error) {
	ctx = context.WithoutCancel(ctx)
	switch c.Run.Phase {
	case state.PhaseCreating:
		if err := e.destroy(ctx, c, true); err != nil {
			return nil, err
		}
		return nil, state.ErrNoContainer{Name: c.ID}
	case state.PhaseRemoving:
		if err := e.destroy(ctx, c, c.Run.Volumes); err != nil {
			return nil, err
		}
		return nil, state.ErrNoContainer{Name: c.ID}
	case state.PhaseStarting:
		return e.settleStart(ctx, c)
	case state.PhaseInit:
		if c.Run.Init.Alive() && c.Run.Owner.PID == 0 {
			return c, nil
		}
		return e.settleStart(ctx, c)
	case state.PhaseCleaning:
	case state.PhaseRunning, state.PhasePaused, state.PhaseCreated:
		if c.Run.Init.Alive() {
			if err := errors.Join(e.settleLimits(ctx, c), e.settleShape(ctx, c)); err != nil {
				return nil, err
			}
			return c, e.settlePause(ctx, c)
		}
	}
	// The end was seen by nobody, or not dealt with. Conmon notes the code
	// right after the process has ended.
	if err := e.awaitExitFile(ctx, c); err != nil {
		return nil, err
	}
	if err := e.finish(ctx, c); err != nil {
		return nil, err
	}
	if c.Spec.Remove {
		return nil, state.ErrNoContainer{Name: c.ID}
	}
	return c, nil
}

// settlePause lets a container go on that a killed process had paused to read it.
func (e *Engine) settlePause(ctx context.Context, c *state.Container) error {
	if c.Run.Owner.PID == 0 || c.Run.Phase == state.PhaseCreated || ownedBy(c.Run.Owner) {
		return nil
	}
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return err
	}
	if err := runtime.Resume(ctx, c.ID); err != nil && c.Run.Phase == state.PhasePaused {
		return err // before that phase it may not have come to the pause
	}
	c.Run.Phase, c.Run.Owner = state.PhaseRunning, process.ID{}
	return e.state.SetRun(ctx, c.ID, c.Run)
}

// settleStart undoes a start that was killed on its way. A container that was
// to vanish with its run vanishes, and one that was still being made.
func (e *Engine) settleStart(ctx context.Context, c *state.Container) (*state.Container, error) {
	if err := e.tearDown(ctx, c); err != nil {
		return nil, err
	}
	if c.Run.Making || (c.Spec.Remove && c.Last == nil) {
		if err := e.destroy(ctx, c, true); err != nil {
			return nil, err
		}
		return nil, state.ErrNoContainer{Name: c.ID}
	}
	if err := e.state.SetRun(ctx, c.ID, nil); err != nil {
		return nil, err
	}
	c.Run = nil
	return c, nil
}

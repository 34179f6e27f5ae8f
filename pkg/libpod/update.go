package libpod

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"

	"github.com/rootless-pod/pod/internal/cgroupfile"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// Update changes a container. Limits of one that runs are changed at once, all
// else counts from its next start. Either all is changed and recorded or nothing:
// before the limits are touched, what they were is recorded too.
func (e *Engine) Update(ctx context.Context, nameOrID string, u *specgen.Update) (*state.Container, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	if u.Health != nil {
		checks, err := e.state.Lock(ctx, healthJob(c.ID)) // a check under way ends first
		if err != nil {
			return nil, err
		}
		defer e.unlock(checks)
	}
	c, lock, err := e.lockContainer(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	spec, err := copySpec(&c.Spec)
	if err != nil {
		return nil, err
	}
	if err := spec.Update(u); err != nil {
		return nil, err
	}
	if u.Health != nil {
		if err := checkHealthLog(&spec.Health); err != nil {
			return nil, err
		}
	}
	if err := updateAsked(c, u, spec); err != nil {
		return nil, err
	}
	old := c.Spec
	c.Spec = *spec
	record := func() error {
		if reflect.DeepEqual(old.Resources, spec.Resources) {
			return step.Do(ctx, "state.update", func() error { return e.state.Update(ctx, c) })
		}
		return e.updateLimits(ctx, c)
	}
	if old.Network.Shape == spec.Network.Shape {
		err = record()
	} else {
		err = e.reshape(ctx, c, old.Network.Shape, record)
	}
	if err != nil {
		return nil, err
	}
	e.event(ctx, events.Update, c)
	if u.Health != nil {
		err = e.rebaseHealth(ctx, c)
	}
	return c, err
}

// updateLimits brings the limits of a container in line with its changed
// description, and records it.
func (e *Engine) updateLimits(ctx context.Context, c *state.Container) error {
	var f specgen.Facts
	e.addLimits(&f, c)
	resources, err := c.Spec.LinuxResources(&f)
	if err != nil {
		return err
	}
	record := func() error {
		return step.Do(ctx, "state.update", func() error { return e.state.Update(ctx, c) })
	}
	if status := e.status(c); !isLive(status) || resources == nil {
		return record()
	}
	resources.Unified = nil // these are not changed
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return err
	}
	file := filepath.Join(e.paths.container(c.ID), "limits.json")
	saved, err := cgroupfile.Save(filepath.Join(cgroupRoot, c.Run.Cgroup))
	if err != nil {
		return err
	}
	c.Run.Limits = &state.Limits{Before: saved, After: c.Spec.Resources}
	ctx = context.WithoutCancel(ctx)
	err = step.Do(ctx, "state.updating", func() error { return e.state.SetRun(ctx, c.ID, c.Run) })
	if err == nil {
		err = step.Do(ctx, "runtime.update", func() error { return runtime.Update(ctx, c.ID, file, resources) })
	}
	if err == nil {
		err = record()
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("update container %s: %w", c.Name, err), cgroupfile.Restore(filepath.Join(cgroupRoot, c.Run.Cgroup), saved))
	}
	c.Run.Limits = nil
	return errors.Join(err, step.Do(ctx, "state.updated", func() error { return e.state.SetRun(ctx, c.ID, c.Run) }))
}

// settleLimits undoes a change of limits that was killed before it was recorded.
func (e *Engine) settleLimits(ctx context.Context, c *state.Container) error {
	limits := c.Run.Limits
	if limits == nil {
		return nil
	}
	if !reflect.DeepEqual(limits.After, c.Spec.Resources) {
		if err := cgroupfile.Restore(filepath.Join(cgroupRoot, c.Run.Cgroup), limits.Before); err != nil {
			return fmt.Errorf("undo the update of container %s: %w", c.Name, err)
		}
	}
	c.Run.Limits = nil
	return e.state.SetRun(ctx, c.ID, c.Run)
}

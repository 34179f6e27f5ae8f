package libpod

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// RemovePodOptions say how a pod is removed.
type RemovePodOptions struct {
	// Force stops running containers first.
	Force bool
	// Timeout in seconds of that stop; nil is the containers' own.
	Timeout *uint
}

// RemovePod removes a pod with all its containers and their anonymous volumes. If
// one of them runs, other than the infra container, it needs force.
func (e *Engine) RemovePod(ctx context.Context, nameOrID string, opts RemovePodOptions) (*state.Pod, error) {
	var p *state.Pod
	err := e.WithReserve(func() (err error) {
		p, err = e.removePod(ctx, nameOrID, opts)
		return err
	})
	return p, err
}

func (e *Engine) removePod(ctx context.Context, nameOrID string, opts RemovePodOptions) (*state.Pod, error) {
	p, err := e.state.LookupPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	lock, err := e.lock(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	current, err := e.state.Pod(ctx, p.ID)
	if isNoPod(err) {
		return p, nil // it was on its way out
	}
	if err != nil {
		return nil, err
	}
	p = current
	if !p.Removing {
		if err := e.checkRemovable(ctx, p, opts.Force); err != nil {
			return nil, err
		}
	}
	return p, e.dropPod(context.WithoutCancel(ctx), p, opts.Timeout)
}

// checkRemovable refuses to remove a pod that is in use, before anything of it is
// removed.
func (e *Engine) checkRemovable(ctx context.Context, p *state.Pod, force bool) error {
	members, err := e.state.Members(ctx, p.ID)
	if err != nil {
		return err
	}
	var failed PodErrors
	refuse := func(c *state.Container, err error) {
		failed = append(failed, fmt.Errorf("error removing container %s from pod %s: %w", c.ID, p.ID, err))
	}
	needing, err := e.state.Needing(ctx)
	if err != nil {
		return err
	}
	needing = slices.DeleteFunc(needing, func(c *state.Container) bool { return c.Spec.Pod == p.ID })
	for _, c := range members {
		if status := e.status(c); isLive(status) && !force && !c.Spec.IsInfra {
			refuse(c, fmt.Errorf("cannot remove container %s as it is %s - running or paused containers cannot be removed without force: %w", c.ID, status, ErrStateImproper))
		}
		if ids := dependents(needing, c); len(ids) > 0 {
			refuse(c, ErrDependents{ID: c.ID, IDs: ids})
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return append(PodErrors{fmt.Errorf("not all containers could be removed from pod %s: removing pod containers", p.ID)}, failed...)
}

// dropPod removes a pod that is locked. From the moment that it is recorded to go
// nobody adds a container to it, and whoever comes after a kill goes on.
func (e *Engine) dropPod(ctx context.Context, p *state.Pod, timeout *uint) error {
	p.Removing, p.Owner = true, process.Self()
	if err := step.Do(ctx, "pod.removing", func() error { return e.state.UpdatePod(ctx, p) }); err != nil {
		return err
	}
	if err := e.dropMembers(ctx, p, timeout); err != nil {
		p.Removing, p.Owner = false, process.ID{}
		return errors.Join(err, e.state.UpdatePod(ctx, p))
	}
	e.dropPodCgroup(p)
	err := step.Do(ctx, "pod.remove", func() error { return e.state.RemovePod(ctx, p.ID, p.InfraID) })
	if err != nil && !isNoPod(err) { // which goes with its infra container
		return err
	}
	e.podEvent(ctx, events.Remove, p)
	return nil
}

func (e *Engine) dropMembers(ctx context.Context, p *state.Pod, timeout *uint) error {
	opts := RemoveOptions{Force: true, Volumes: true, Needed: true, Timeout: timeout, infra: true}
	return e.backwards(ctx, p, func(id string) error {
		if _, err := e.Remove(ctx, id, opts); err != nil && !isAbsent(err) {
			return fmt.Errorf("error removing container %s from pod %s: %w", id, p.ID, err)
		}
		return nil
	})
}

// settledPod looks a pod up; if somebody was killed while he removed it, it is
// removed to the end first.
func (e *Engine) settledPod(ctx context.Context, nameOrID string) (*state.Pod, error) {
	p, err := e.state.LookupPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	if p.Removing && e.leftoverPod(ctx, p.ID) {
		return nil, state.ErrNoPod{Name: nameOrID}
	}
	return p, nil
}

// leftoverPod finishes what a killed command began to remove, and says whether the
// pod is gone. A pod that another process is removing is waited for.
func (e *Engine) leftoverPod(ctx context.Context, id string) bool {
	p, err := e.state.Pod(ctx, id)
	if err != nil {
		return isNoPod(err)
	}
	if !p.Removing {
		return p.InfraID != "" && e.leftover(ctx, p.InfraID) // one that was never finished
	}
	_, err = e.RemovePod(ctx, id, RemovePodOptions{Force: true})
	return err == nil
}

// settlePods finishes all removals that killed commands began.
func (e *Engine) settlePods(ctx context.Context) error {
	all, err := e.state.Pods(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Removing && !ownedBy(p.Owner) {
			if _, err := e.RemovePod(ctx, p.ID, RemovePodOptions{Force: true}); err != nil && !isNoPod(err) {
				return err
			}
		}
	}
	return nil
}

// PrunePods removes the pods of which no container runs.
func (e *Engine) PrunePods(ctx context.Context) ([]string, error) {
	if err := e.Reconcile(ctx, false); err != nil {
		return nil, err
	}
	all, err := e.state.Pods(ctx)
	if err != nil {
		return nil, err
	}
	var gone []string
	var failed PodErrors
	for _, p := range all {
		members, err := e.state.Members(ctx, p.ID)
		if err != nil {
			return gone, err
		}
		// As in the field: one that was never started is kept.
		ended := len(members) > 0 && slices.ContainsFunc(members, func(c *state.Container) bool { return e.status(c) == StatusExited })
		if !ended || slices.ContainsFunc(members, func(c *state.Container) bool { return isLive(e.status(c)) }) {
			continue
		}
		if _, err := e.RemovePod(ctx, p.ID, RemovePodOptions{}); err != nil {
			failed = append(failed, err)
			continue
		}
		gone = append(gone, p.ID)
	}
	return gone, failed.asError()
}

// RemoveWithPod is Remove; of an infra container it removes the pod.
func (e *Engine) RemoveWithPod(ctx context.Context, nameOrID string, opts RemoveOptions) (*state.Container, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil || !c.Spec.IsInfra {
		return e.Remove(ctx, nameOrID, opts)
	}
	_, err = e.RemovePod(ctx, c.Spec.Pod, RemovePodOptions{Force: opts.Force, Timeout: opts.Timeout})
	if isNoPod(err) {
		err = nil
	}
	return c, err
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/pods"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// PodErrors are what went wrong with several containers of a pod.
type PodErrors []error

// Error implements error.
func (e PodErrors) Error() string { return errors.Join(e...).Error() }

// Unwrap returns all of them.
func (e PodErrors) Unwrap() []error { return e }

// asError is nil for none.
func (e PodErrors) asError() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// CreatePod makes a pod and, unless it is to have none, its infra container. img
// is that of the container, if it is made of one.
func (e *Engine) CreatePod(ctx context.Context, spec *specgen.Pod, img specgen.ImageConfig) (*state.Pod, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if err := e.checkPodCgroup(spec); err != nil {
		return nil, err
	}
	if spec.Replace {
		if err := e.replacePod(ctx, spec.Name); err != nil {
			return nil, err
		}
	}
	p, err := e.newPod(ctx, spec, img)
	if err != nil {
		return nil, err
	}
	e.podEvent(ctx, events.Create, p)
	return p, nil
}

// newPod finds a name that is free, if the user has chosen none.
func (e *Engine) newPod(ctx context.Context, spec *specgen.Pod, img specgen.ImageConfig) (*state.Pod, error) {
	for attempt := 0; ; attempt++ {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		p := &state.Pod{ID: id, Name: spec.Name, Created: time.Now().UTC(), Spec: *spec, Volatile: e.Transient}
		if p.Name == "" {
			if p.Name, err = randomName(); err != nil {
				return nil, err
			}
			if attempt > 2 {
				p.Name += id[:4]
			}
		}
		p.Spec.Name = p.Name
		err = e.addPod(ctx, p, img)
		var taken state.ErrPodInUse
		if errors.As(err, &taken) && spec.Name != "" && attempt == 0 && e.leftoverPod(ctx, taken.ID) {
			continue
		}
		if !errors.As(err, &taken) || spec.Name != "" || attempt == 10 {
			return p, err
		}
	}
}

// addPod records a pod with its infra container, and completes that.
func (e *Engine) addPod(ctx context.Context, p *state.Pod, img specgen.ImageConfig) error {
	if p.Spec.NoInfra {
		return step.Do(ctx, "pod.add", func() error { return e.state.AddPod(ctx, p, nil) })
	}
	spec := p.Spec.Infra(p.ID)
	if err := e.fixNeeds(ctx, spec); err != nil {
		return err
	}
	if err := e.volumesFrom(ctx, spec); err != nil {
		return err
	}
	c, maps, err := e.describe(ctx, spec, img)
	if err != nil {
		return err
	}
	c.Volatile = p.Volatile
	lock, err := e.lock(ctx, c.ID)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	p.InfraID = c.ID
	c.Run = &state.Run{Phase: state.PhaseCreating, Owner: process.Self(), Making: true}
	if err := step.Do(ctx, "pod.add", func() error { return e.state.AddPod(ctx, p, c) }); err != nil {
		return err
	}
	if len(c.Spec.Storage.Mounts) > 0 {
		err = step.Do(ctx, "volumes.create", func() error { return e.makeVolumes(ctx, c) })
	}
	if err == nil && c.Spec.Layered() {
		err = e.makeRoot(ctx, c, maps, img)
	} else if err == nil {
		e.event(ctx, events.Create, c)
	}
	if err == nil {
		err = step.Do(ctx, "pod.created", func() error { return e.state.SetRun(ctx, c.ID, nil) })
	}
	if err != nil {
		return errors.Join(err, e.undoCreate(context.WithoutCancel(ctx), c.ID))
	}
	return nil
}

// replacePod removes the pod that has the name, if there is one.
func (e *Engine) replacePod(ctx context.Context, name string) error {
	if name == "" {
		return errors.New("cannot replace pod without --name being set")
	}
	old, err := e.state.LookupPod(ctx, name)
	if isNoPod(err) || (err == nil && old.Name != name) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = e.RemovePod(ctx, old.ID, RemovePodOptions{Force: true})
	return err
}

// isNoPod says that err is about a pod without a record.
func isNoPod(err error) bool {
	var absent state.ErrNoPod
	return errors.As(err, &absent)
}

// LookupPod returns the pod that nameOrID means.
func (e *Engine) LookupPod(ctx context.Context, nameOrID string) (*state.Pod, error) {
	return e.state.LookupPod(ctx, nameOrID)
}

// LatestPod returns the newest pod.
func (e *Engine) LatestPod(ctx context.Context) (*state.Pod, error) {
	all, err := e.state.Pods(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, state.ErrNoPod{Name: "--latest"}
	}
	return all[len(all)-1], nil
}

// PodMembers are the containers of a pod, in the order they were created in.
func (e *Engine) PodMembers(ctx context.Context, p *state.Pod) ([]*state.Container, error) {
	return e.state.Members(ctx, p.ID)
}

// joinPod makes the description one of a container of its pod.
func (e *Engine) joinPod(ctx context.Context, spec *specgen.Container) error {
	if spec.Pod == "" || spec.IsInfra {
		return nil
	}
	p, err := e.state.LookupPod(ctx, spec.Pod)
	if err != nil {
		return err
	}
	spec.Pod = p.ID
	var infra *specgen.Container
	if p.InfraID != "" {
		c, err := e.completeInfra(ctx, p)
		if err != nil {
			return err
		}
		infra = &c.Spec
		if spec.InitCtr != "" && isLive(e.status(c)) {
			return fmt.Errorf("cannot add init-ctr to a running pod: stop pod %s first", p.Name)
		}
	}
	return p.Spec.Join(spec, p.InfraID, infra)
}

// completeInfra waits for the end of the command that makes the pod: as long as it
// may be killed, the pod may vanish.
func (e *Engine) completeInfra(ctx context.Context, p *state.Pod) (*state.Container, error) {
	c, err := e.state.Get(ctx, p.InfraID)
	if err == nil && c.Run != nil && (c.Run.Phase == state.PhaseCreating || c.Run.Phase == state.PhaseRemoving) {
		var lock *state.Lock
		if c, lock, err = e.lockContainer(ctx, p.InfraID); err == nil {
			e.unlock(lock)
		}
	}
	if isAbsent(err) {
		return nil, state.ErrNoPod{Name: p.Name}
	}
	return c, err
}

// podStatus is the state of a pod with these containers.
func (e *Engine) podStatus(p *state.Pod, members []*state.Container) string {
	if p.Removing {
		return pods.Removing
	}
	var n pods.Counts
	for _, c := range members {
		if c.Spec.InitCtr != "" {
			continue
		}
		n.Total++
		switch e.status(c) {
		case StatusRunning, StatusStopping:
			n.Running++
		case StatusPaused:
			n.Paused++
		case StatusExited:
			n.Exited++
		}
	}
	return pods.Status(n)
}

// podEvent notes what happened to a pod.
func (e *Engine) podEvent(ctx context.Context, status events.Status, p *state.Pod) {
	e.write(ctx, events.Event{Type: events.Pod, Status: status, ID: p.ID, Name: p.Name, Attributes: p.Spec.Labels})
}

// levels orders containers of a pod by what they need.
func (e *Engine) levels(ctx context.Context, members []*state.Container) ([][]string, error) {
	list := make([]pods.Member, 0, len(members))
	for _, c := range members {
		needs, err := e.dependencies(ctx, c)
		if err != nil {
			return nil, err
		}
		list = append(list, pods.Member{ID: c.ID, Needs: needs})
	}
	return pods.Levels(list), nil
}

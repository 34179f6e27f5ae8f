package libpod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// podAtOnce is how many containers of a pod are worked on side by side.
const podAtOnce = 4

// startLock is held by whoever starts a pod: its init containers run once for all
// starts that are asked for at the same time. It is not the pod's lock, since an
// init container may take long, and must not keep anybody from removing the pod.
func startLock(id string) string { return "start-" + id }

// StartPod starts the containers of a pod: the infra container, the init containers
// one after the other, then the others, each after those it needs.
func (e *Engine) StartPod(ctx context.Context, nameOrID string) (*state.Pod, error) {
	p, err := e.settledPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	lock, err := e.lock(ctx, startLock(p.ID))
	if err != nil {
		return nil, err
	}
	started, err := e.startMembers(ctx, p)
	e.unlock(lock)
	if err != nil {
		return p, err
	}
	e.podEvent(ctx, events.Start, p)
	if err := e.podReady(ctx, p); err != nil {
		return p, err
	}
	if started == 0 {
		return p, nil // its first container is yet to come
	}
	// Who ended while the lock was held has left it to us.
	return p, e.exitPolicy(ctx, p.ID)
}

// startMembers says how many containers it has started besides the infra container
// and init containers.
func (e *Engine) startMembers(ctx context.Context, p *state.Pod) (int, error) {
	members, err := e.state.Members(ctx, p.ID)
	if err != nil {
		return 0, err
	}
	if p.InfraID != "" {
		if err := e.endStale(ctx, p, members); err != nil {
			return 0, err
		}
		if err := e.startMember(ctx, p.InfraID); err != nil {
			return 0, PodErrors{err}
		}
		if members, err = e.state.Members(ctx, p.ID); err != nil {
			return 0, err
		}
	}
	var inits, others []*state.Container
	running := false
	for _, c := range members {
		switch {
		case c.Spec.IsInfra:
		case c.Spec.InitCtr != "":
			inits = append(inits, c)
		default:
			others = append(others, c)
			running = running || isLive(e.status(c))
		}
	}
	if !running {
		for _, c := range inits {
			if err := e.runInit(ctx, c); err != nil {
				return 0, err
			}
		}
	}
	levels, err := e.levels(ctx, others)
	if err != nil {
		return 0, err
	}
	var failed PodErrors
	for _, level := range levels {
		failed = append(failed, e.sideBySide(level, func(id string) error { return e.startMember(ctx, id) })...)
	}
	return len(others), failed.asError()
}

// endStale ends containers that outlived the infra container: they are in namespaces
// that nobody else of the pod will ever be in.
func (e *Engine) endStale(ctx context.Context, p *state.Pod, members []*state.Container) error {
	if slices.ContainsFunc(members, func(c *state.Container) bool { return c.Spec.IsInfra && isLive(e.status(c)) }) {
		return nil
	}
	var ids []string
	for _, c := range members {
		if status := e.status(c); status == StatusRunning && slices.Contains(needs(c), p.InfraID) {
			e.Warn(fmt.Sprintf("container %s is started anew: the namespaces it shared ended with the infra container", c.Name))
			ids = append(ids, c.ID)
		}
	}
	failed := e.sideBySide(ids, func(id string) error {
		_, err := e.Stop(ctx, id, nil)
		return err
	})
	return failed.asError()
}

// sideBySide works on containers at the same time and returns what went wrong.
func (e *Engine) sideBySide(ids []string, work func(id string) error) PodErrors {
	var failed PodErrors
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(podAtOnce)
	for _, id := range ids {
		group.Go(func() error {
			if err := work(id); err != nil && !isAbsent(err) { // which was removed meanwhile
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
			return nil
		})
	}
	_ = group.Wait() // all return nil
	return failed
}

func (e *Engine) startMember(ctx context.Context, id string) error {
	if _, err := e.Start(ctx, id); err != nil {
		return fmt.Errorf("starting container %s: %w", id, err)
	}
	return nil
}

// runInit runs an init container to its end. One that runs once is removed when it
// has; if a kill came between the two, it is not run again.
func (e *Engine) runInit(ctx context.Context, c *state.Container) error {
	once := c.Spec.InitCtr == specgen.InitOnce
	done := func(c *state.Container) bool { return once && c.Last != nil && !c.Last.Unknown && c.Last.Code == 0 }
	if current, lock, err := e.lockContainer(ctx, c.ID); err == nil {
		c = current
		e.unlock(lock)
	} else if isAbsent(err) {
		return nil
	}
	if !done(c) {
		if err := e.startMember(ctx, c.ID); err != nil {
			return err
		}
		var code int
		err := step.Do(ctx, "init.wait", func() (err error) {
			code, err = e.Wait(ctx, c.ID, nil, 0)
			return err
		})
		if err == nil {
			err = e.settled(ctx, c.ID)
		}
		if err != nil {
			return err
		}
		if code != 0 {
			return fmt.Errorf("init container %s exited with code %d: see pod logs %s", c.ID, code, c.Name)
		}
	}
	if !once {
		return nil
	}
	_, err := e.Remove(ctx, c.ID, RemoveOptions{Volumes: true})
	return err
}

// StopPod stops the containers of a pod: each before those it needs, the infra
// container last.
func (e *Engine) StopPod(ctx context.Context, nameOrID string, timeout *uint) (*state.Pod, error) {
	p, err := e.settledPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	if err := e.stopMembers(ctx, p, timeout); err != nil {
		return p, err
	}
	e.podEvent(ctx, events.Stop, p)
	return p, nil
}

func (e *Engine) stopMembers(ctx context.Context, p *state.Pod, timeout *uint) error {
	return e.backwards(ctx, p, func(id string) error {
		if _, err := e.Stop(ctx, id, timeout); err != nil {
			return fmt.Errorf("stopping container %s: %w", id, err)
		}
		return nil
	})
}

// backwards works on all containers of a pod, each before those it needs.
func (e *Engine) backwards(ctx context.Context, p *state.Pod, work func(id string) error) error {
	members, err := e.state.Members(ctx, p.ID)
	if err != nil {
		return err
	}
	members = slices.DeleteFunc(members, func(c *state.Container) bool { return c.Spec.IsInfra })
	levels, err := e.levels(ctx, members)
	if err != nil {
		return err
	}
	var failed PodErrors
	for _, level := range slices.Backward(levels) {
		failed = append(failed, e.sideBySide(level, work)...)
	}
	if len(failed) == 0 && p.InfraID != "" {
		failed = e.sideBySide([]string{p.InfraID}, work)
	}
	return failed.asError()
}

// RestartPod stops the containers of a pod that run, and starts all.
func (e *Engine) RestartPod(ctx context.Context, nameOrID string) (*state.Pod, error) {
	p, err := e.StopPod(ctx, nameOrID, nil)
	if err != nil {
		return p, err
	}
	return e.StartPod(ctx, p.ID)
}

// KillPod sends a signal to the containers of a pod that run.
func (e *Engine) KillPod(ctx context.Context, nameOrID string, sig syscall.Signal) (*state.Pod, error) {
	p, err := e.settledPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	err = e.eachOf(ctx, p, []Status{StatusRunning, StatusStopping, StatusPaused, StatusInitialized}, func(id string) error {
		_, err := e.Kill(ctx, id, sig)
		return err
	})
	if err == nil {
		e.podEvent(ctx, events.Kill, p)
	}
	return p, err
}

// PausePod freezes the containers of a pod that run, or lets those go on that are
// frozen.
func (e *Engine) PausePod(ctx context.Context, nameOrID string, pause bool) (*state.Pod, error) {
	p, err := e.settledPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	status, event := StatusPaused, events.Unpause
	if pause {
		status, event = StatusRunning, events.Pause
	}
	err = e.eachOf(ctx, p, []Status{status}, func(id string) error {
		_, err := e.Pause(ctx, id, pause)
		return err
	})
	if err == nil {
		e.podEvent(ctx, event, p)
	}
	return p, err
}

// eachOf works on the containers of a pod that have one of the states. That one
// lost it meanwhile is no error.
func (e *Engine) eachOf(ctx context.Context, p *state.Pod, states []Status, work func(id string) error) error {
	members, err := e.state.Members(ctx, p.ID)
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range members {
		if slices.Contains(states, e.status(c)) {
			ids = append(ids, c.ID)
		}
	}
	failed := e.sideBySide(ids, func(id string) error {
		err := work(id)
		if errors.Is(err, ErrStateImproper) {
			c, gone := e.state.Get(ctx, id)
			if isAbsent(gone) || (gone == nil && !slices.Contains(states, e.status(c))) {
				err = nil
			}
		}
		return err
	})
	return failed.asError()
}

// exitPolicy ends the infra container of a pod that is to end with its last
// container. Whoever is starting the pod asks again when that is done.
func (e *Engine) exitPolicy(ctx context.Context, id string) error {
	p, err := e.state.Pod(ctx, id)
	if isNoPod(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.Spec.ExitPolicy != specgen.ExitStop || p.InfraID == "" || p.Removing {
		return nil
	}
	lock, ok, err := e.state.TryLock(startLock(id))
	if err != nil || !ok {
		return err
	}
	defer e.unlock(lock)
	members, err := e.state.Members(ctx, id)
	if err != nil {
		return err
	}
	for _, c := range members {
		switch {
		case c.Spec.IsInfra || c.Spec.InitCtr != "":
		case isLive(e.status(c)) || c.Run != nil && c.Run.Phase != state.PhaseCleaning && c.Run.Phase != state.PhaseRunning,
			c.Wanted && wantsRestart(c):
			return nil // up, on its way, or about to come back
		}
	}
	if _, err := e.Stop(ctx, p.InfraID, nil); err != nil && !isAbsent(err) {
		return fmt.Errorf("end pod %s after its last container: %w", p.Name, err)
	}
	return nil
}

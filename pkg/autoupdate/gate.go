package autoupdate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rootless-pod/pod/pkg/health"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

const (
	// steady is how long a container without a health check has to run.
	steady = 2 * time.Second
	// appear is how long a container may take to be there after its unit's start:
	// those of a pod come after the pod's own unit.
	appear = 15 * time.Second
	// lookEvery is how often it is looked at.
	lookEvery = 100 * time.Millisecond
)

// errSameImage is a container that came back with the image it had.
var errSameImage = errors.New("the container has come back with the image from before")

// trial is how long a container may take to become healthy: its start period, and
// as many checks as may fail before it counts as unhealthy, and one.
func trial(h *specgen.Health) time.Duration {
	limit := h.Grace() + time.Duration(h.Tries()+1)*(max(h.Every(), time.Second)+h.Limit()) //nolint:gosec // small
	if s := h.Startup; s != nil {
		limit += time.Duration(max(s.Retries, 1)+1) * (max(s.Every(), time.Second) + s.Limit()) //nolint:gosec // small
	}
	return limit
}

// verdict judges a container at a moment. It is over when the container has
// proven itself, or when err says why it has not and will not.
type verdict struct {
	over bool
	err  error
}

// look is what a judgement is made of.
type look struct {
	status  libpod.Status
	health  *specgen.Health
	known   health.State
	exit    *state.Exit
	started time.Time
	// first is the start of the run that was seen first, zero before.
	first time.Time
	now   time.Time
}

// judge says what a look tells.
func judge(l *look) verdict {
	switch l.status {
	case libpod.StatusRunning:
	case libpod.StatusExited, libpod.StatusStopping, libpod.StatusRemoving:
		if l.first.IsZero() && l.exit == nil {
			return verdict{}
		}
		return verdict{over: true, err: ended(l.exit)}
	case libpod.StatusPaused:
		return verdict{over: true, err: errors.New("the container is paused")}
	default:
		return verdict{} // it is being made, or started
	}
	if !l.first.IsZero() && !l.started.Equal(l.first) {
		return verdict{over: true, err: errors.New("the container has ended and was started again")}
	}
	if !l.health.Defined() {
		return verdict{over: l.now.Sub(l.started) >= steady}
	}
	switch l.known.Status {
	case health.Healthy:
		return verdict{over: true}
	case health.Unhealthy, health.Stopped:
		return verdict{over: true, err: sick(&l.known)}
	}
	return verdict{}
}

// ended says how a run ended.
func ended(x *state.Exit) error {
	if x == nil || x.Unknown {
		return errors.New("the container has ended")
	}
	return fmt.Errorf("the container has ended with exit code %d", x.Code)
}

// sick says what the last check had to say.
func sick(st *health.State) error {
	text := ""
	if n := len(st.Log); n > 0 {
		text, _, _ = strings.Cut(strings.TrimSpace(st.Log[n-1].Output), "\n")
	}
	if text == "" {
		return errors.New("the container is unhealthy")
	}
	return fmt.Errorf("the container is unhealthy: %.200q", text)
}

// await waits until a container has proven itself, and returns why it has not.
func (u *Updater) await(ctx context.Context, it *item) error {
	w := wait{deadline: time.Now().Add(appear)}
	for {
		over, err := u.observe(ctx, it, &w)
		if over || err != nil {
			return err
		}
		switch {
		case time.Now().Before(w.deadline):
		case w.first.IsZero():
			return errors.New("the container did not come back")
		default:
			return errors.New("the container did not become healthy in its start period and retries")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// wait is how far the wait for a container has come.
type wait struct {
	// first is the start of the run that was seen first, zero before.
	first    time.Time
	deadline time.Time
}

// observe looks at the container of an item once, and says whether it has proven
// itself; or why it will not.
func (u *Updater) observe(ctx context.Context, it *item, w *wait) (over bool, err error) {
	c, err := u.find(ctx, it)
	if err != nil {
		return false, err
	}
	if c != nil && c.ImageID == it.Old {
		if u.Engine.Status(c) == libpod.StatusRunning {
			return false, errSameImage
		}
		c = nil // the one from before, on its way out
	}
	if c == nil {
		if !w.first.IsZero() {
			return false, errors.New("the container has ended and is gone")
		}
		return false, nil
	}
	v, started, err := u.judge(ctx, c, w.first)
	if err != nil || v.over {
		return v.over, errors.Join(err, v.err)
	}
	if w.first.IsZero() && !started.IsZero() {
		w.first = started
		w.deadline = started.Add(steady + appear)
		if c.Spec.Health.Defined() {
			w.deadline = started.Add(trial(&c.Spec.Health))
		}
	}
	return false, nil
}

// judge looks at a container, and says when the run that it has began. Checks
// that nobody makes, since their interval is 0, are made here.
func (u *Updater) judge(ctx context.Context, c *state.Container, first time.Time) (verdict, time.Time, error) {
	l := look{status: u.Engine.Status(c), health: &c.Spec.Health, exit: u.Engine.Exit(c), first: first, now: time.Now()}
	if c.Run != nil {
		l.started = c.Run.StartedAt
	}
	if l.status == libpod.StatusRunning && l.health.Defined() {
		if l.health.Every() == 0 && l.health.Startup == nil {
			_, _ = u.Engine.HealthCheck(ctx, c.ID, false) // what came of it is read below
		}
		var err error
		if l.known, err = u.Engine.Health(c); err != nil {
			return verdict{}, l.started, err
		}
	}
	return judge(&l), l.started, nil
}

// find is the container that an item is about, as it is now: of the same unit, or
// for one that pod makes anew of the same name. Nil if there is none.
func (u *Updater) find(ctx context.Context, it *item) (*state.Container, error) {
	all, err := u.Engine.List(ctx, nil)
	if err != nil {
		return nil, err
	}
	var found *state.Container
	for _, c := range all {
		if c.Unit != it.Unit || c.Spec.IsInfra {
			continue
		}
		if c.Name == it.Name {
			return c, nil
		}
		if it.Unit != "" && c.ID != it.ID {
			found = c // the newest: the list is sorted by age
		}
	}
	return found, nil
}

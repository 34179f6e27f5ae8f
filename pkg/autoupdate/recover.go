package autoupdate

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// errInterrupted is the cause of a rollback of an update whose command was killed.
var errInterrupted = errors.New("the update was interrupted")

// recover finishes or undoes the updates that killed commands have left. It
// returns what became of them, by what: these are not looked at again.
func (u *Updater) recover(ctx context.Context) (settled map[string]string, errs []error) {
	settled = map[string]string{}
	entries, err := u.journal.read()
	if err != nil {
		return settled, []error{err}
	}
	for _, e := range entries {
		if e.Phase == phaseOver || len(e.Items) == 0 {
			errs = append(errs, u.end(ctx, e)...)
			continue
		}
		status, more := u.settle(ctx, e)
		if status != "" {
			settled[e.what()] = status
		}
		for _, err := range more {
			errs = append(errs, fmt.Errorf("after an update that was interrupted: %w", err))
		}
	}
	return settled, errs
}

// settle finishes or undoes an entry. The status is empty if nothing had come of
// the update yet, or nothing of the containers is left.
func (u *Updater) settle(ctx context.Context, e *entry) (status string, errs []error) {
	if e.Phase == phaseDone {
		if err := u.finish(ctx, e); err != nil {
			return "", []error{err}
		}
		return "", nil
	}
	if e.Unit == "" {
		return u.settleRemade(ctx, e)
	}
	active, err := u.unitState(ctx, e.Unit)
	if errors.Is(err, scope.ErrGone) || err == nil && active == "inactive" {
		return "", u.end(ctx, e) // the user has ended it
	}
	if err != nil {
		return "", []error{err}
	}
	if e.Phase == phaseUndo {
		return u.undo(ctx, e, errInterrupted)
	}
	touched, err := u.touched(ctx, e)
	if err != nil {
		return "", []error{err}
	}
	if !touched {
		return "", u.end(ctx, e)
	}
	return u.conclude(ctx, e, u.prove(ctx, e))
}

// touched says whether the containers of an entry are others than before, and
// notes which images they have.
func (u *Updater) touched(ctx context.Context, e *entry) (bool, error) {
	touched := false
	for i := range e.Items {
		it := &e.Items[i]
		c, err := u.find(ctx, it)
		if err != nil {
			return false, err
		}
		if c == nil || c.ImageID != it.Old {
			touched = true
		}
		if c != nil && c.ImageID != it.Old && it.New == "" {
			it.New = c.ImageID
		}
	}
	return touched, nil
}

// settleRemade is settle for a container that pod makes anew.
func (u *Updater) settleRemade(ctx context.Context, e *entry) (string, []error) {
	it := &e.Items[0]
	old, err := u.container(ctx, it.ID)
	if err != nil {
		return "", []error{err}
	}
	if old == nil {
		return "", u.end(ctx, e) // removed by the user, or --rm and another boot
	}
	c, err := u.find(ctx, it)
	if err != nil {
		return "", []error{err}
	}
	switch {
	case e.Phase == phaseUndo:
		return u.undo(ctx, e, errInterrupted)
	case c != nil && c.ID != it.ID && u.Engine.Status(c) == libpod.StatusRunning:
		return u.conclude(ctx, e, u.prove(ctx, e))
	case c != nil && c.ID == it.ID && u.Engine.Status(old) == libpod.StatusRunning && old.Spec.Remove == it.Remove:
		return "", u.end(ctx, e) // it has not been touched
	}
	// It was about to be stopped, or is: it goes on, and the look after this finds
	// the newer image again.
	if err := u.bringBack(ctx, it); err != nil {
		return StatusFailed, []error{fmt.Errorf("rolling back %s: %w", e.what(), err)}
	}
	return "", u.end(ctx, e)
}

// container is the container with an id, nil if there is none.
func (u *Updater) container(ctx context.Context, id string) (*state.Container, error) {
	all, err := u.Engine.List(ctx, []string{"id=" + id})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

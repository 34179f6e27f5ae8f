package autoupdate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// carryOut does what an entry says: it brings the images, has the containers of
// newer run them, and waits until all of the group have proven themselves.
func (u *Updater) carryOut(ctx context.Context, e *entry, newer, group []*task) (errs []error) {
	if err := u.begin(ctx, e); err != nil {
		return append([]error{err}, u.end(ctx, e)...)
	}
	var items []item
	for i, t := range newer {
		if err := u.bring(ctx, t); err != nil {
			errs = append(errs, fmt.Errorf("updating image for container %s: %w", t.Name, err))
			continue
		}
		if t.newID == t.ImageID { // only the manifest is another one
			t.status = StatusNotUpdated
			continue
		}
		it := e.Items[i]
		it.New = t.newID
		items = append(items, it)
	}
	if len(items) == 0 {
		return append(errs, u.end(ctx, e)...)
	}
	e.Items = items
	if err := step.Do(ctx, "update.record", func() error { return u.journal.write(e) }); err != nil {
		return append(errs, err)
	}
	cause := u.swap(ctx, e, newer)
	status, more := u.conclude(ctx, e, cause)
	for _, t := range group {
		if status == StatusUpdated && t.newID == "" && t.status != StatusFailed {
			continue // it was restarted with the others, with the image that it had
		}
		t.status = status
	}
	return append(errs, more...)
}

// begin writes down what is about to be done, and holds the images to go back to.
func (u *Updater) begin(ctx context.Context, e *entry) error {
	for i := range e.Items {
		e.Held = append(e.Held, e.Items[i].Old)
	}
	slices.Sort(e.Held)
	e.Held = slices.Compact(e.Held)
	if err := step.Do(ctx, "update.begin", func() error { return u.journal.write(e) }); err != nil {
		return err
	}
	return step.Do(ctx, "update.hold", func() error {
		for _, id := range e.Held {
			if err := u.Store.Hold(ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// end lets go of the images of an entry, unless another update may go back to
// them, and forgets it.
func (u *Updater) end(ctx context.Context, e *entry) []error {
	ctx = context.WithoutCancel(ctx)
	e.Phase = phaseOver
	if err := step.Do(ctx, "update.end", func() error { return u.journal.write(e) }); err != nil {
		return []error{err}
	}
	all, err := u.journal.read()
	if err != nil {
		return []error{err}
	}
	for _, id := range e.Held {
		if u.journal.holds(all, e, id) {
			continue
		}
		if err := step.Do(ctx, "update.release", func() error { return u.Store.Release(ctx, id) }); err != nil {
			return []error{err}
		}
	}
	if err := step.Do(ctx, "update.forget", func() error { return u.journal.remove(e) }); err != nil {
		return []error{err}
	}
	return nil
}

// swap has the containers of an entry run their new images; what it returns is
// why they do not, or did not prove themselves.
func (u *Updater) swap(ctx context.Context, e *entry, newer []*task) error {
	if e.Unit == "" {
		i := slices.IndexFunc(newer, func(t *task) bool { return t.ID == e.Items[0].ID })
		if err := u.remake(ctx, newer[i]); err != nil {
			return err
		}
		return u.prove(ctx, e)
	}
	for i := range e.Items {
		// Another container of that image may have gone back to the old one.
		it := &e.Items[i]
		if _, err := u.Images.Moved(ctx, it.Image, it.Old, it.New); err != nil {
			return err
		}
	}
	if err := u.restart(ctx, e.Unit, "update.restart"); err != nil {
		return err
	}
	return u.prove(ctx, e)
}

// settleNames has the names of images that one container did not go well with lead
// to the old ones: others that did well keep what they run until they are started
// anew, and then all run what all are well with.
func (u *Updater) settleNames(ctx context.Context) (errs []error) {
	for i := range u.refused {
		it := &u.refused[i]
		if _, err := u.Images.Moved(ctx, it.Image, it.New, it.Old); err != nil {
			errs = append(errs, fmt.Errorf("rolling back image for container %s: %w", it.Name, err))
		}
	}
	return errs
}

// restart restarts a unit as the step that is called name.
func (u *Updater) restart(ctx context.Context, unit, name string) error {
	units, err := u.Units()
	if err != nil {
		return err
	}
	return step.Do(ctx, name, func() error { return units.Restart(ctx, unit) })
}

// prove waits for the containers of an entry to prove themselves.
func (u *Updater) prove(ctx context.Context, e *entry) error {
	return step.Do(ctx, "update.await", func() error {
		for i := range e.Items {
			it := &e.Items[i]
			if err := u.await(ctx, it); err != nil {
				if errors.Is(err, errSameImage) {
					err = fmt.Errorf("%w: unit %s does not make it anew of %s", err, e.Unit, it.Image)
				}
				return fmt.Errorf("container %s: %w", it.Name, err)
			}
		}
		return nil
	})
}

// remake makes a container anew.
func (u *Updater) remake(ctx context.Context, t *task) error {
	ports, err := u.Engine.Ports(ctx, t.Container)
	if err != nil {
		return err
	}
	img, err := u.Images.Resolve(ctx, t.newID)
	if err != nil {
		return err
	}
	img.Name = t.ImageName
	if err := u.Engine.PutAside(ctx, t.Container); err != nil {
		return err
	}
	_, err = u.Engine.Remake(ctx, t.Container, ports, img)
	return err
}

// conclude ends an entry: cause is nil if its containers have proven themselves.
func (u *Updater) conclude(ctx context.Context, e *entry, cause error) (status string, errs []error) {
	// What was begun is ended, although the user may want to leave.
	ctx = context.WithoutCancel(ctx)
	if cause != nil && u.Rollback {
		e.Phase = phaseUndo
		if err := step.Do(ctx, "update.undo", func() error { return u.journal.write(e) }); err != nil {
			return StatusFailed, []error{err}
		}
		return u.undo(ctx, e, cause)
	}
	if cause != nil && e.Unit == "" {
		// Without a new container there is nothing to leave as it is.
		if c, err := u.find(ctx, &e.Items[0]); err != nil || c == nil || c.ID == e.Items[0].ID {
			err = errors.Join(err, u.Engine.BringBack(ctx, e.Items[0].ID, e.Items[0].Name, e.Items[0].Remove))
			if err == nil {
				err = errors.Join(u.end(ctx, e)...)
			}
			return StatusFailed, []error{errors.Join(fmt.Errorf("updating %s: %w", e.what(), cause), err)}
		}
	}
	e.Phase = phaseDone
	if err := step.Do(ctx, "update.proven", func() error { return u.journal.write(e) }); err != nil {
		return StatusFailed, []error{err}
	}
	if err := u.finish(ctx, e); err != nil {
		return StatusFailed, []error{err}
	}
	if cause != nil {
		return StatusFailed, []error{fmt.Errorf("updating %s: %w", e.what(), cause)}
	}
	return StatusUpdated, nil
}

// what names an entry as the group that it is of, in messages too.
func (e *entry) what() string { return what(e.Unit, e.Items[0].Name) }

// what names containers that are updated together: those of a unit, or one.
func what(unit, container string) string {
	if unit != "" {
		return "unit " + unit
	}
	return "container " + container
}

// finish removes what is left of a container that was made anew, and the entry.
func (u *Updater) finish(ctx context.Context, e *entry) error {
	if e.Unit == "" {
		err := step.Do(ctx, "update.drop", func() error {
			_, err := u.Engine.Remove(ctx, e.Items[0].ID, libpod.RemoveOptions{Force: true})
			return err
		})
		if err != nil && !errors.As(err, new(state.ErrNoContainer)) {
			return fmt.Errorf("remove what container %s was before its update: %w", e.Items[0].Name, err)
		}
	}
	return errors.Join(u.end(ctx, e)...)
}

// undo brings the old images back. The names first: what makes the containers
// anew goes by them.
func (u *Updater) undo(ctx context.Context, e *entry, cause error) (string, []error) {
	for i := range e.Items {
		it := &e.Items[i]
		if it.New == "" {
			continue
		}
		err := step.Do(ctx, "update.untag", func() error {
			_, err := u.Images.Moved(ctx, it.Image, it.New, it.Old)
			return err
		})
		if err != nil {
			return StatusFailed, []error{fmt.Errorf("rolling back image for container %s: %w", it.Name, err), cause}
		}
		u.Tagged(it.Old, it.Image)
		u.refused = append(u.refused, *it)
	}
	if err := u.restore(ctx, e); err != nil {
		return StatusFailed, append([]error{fmt.Errorf("updating %s: %w", e.what(), cause), fmt.Errorf("rolling back %s: %w", e.what(), err)}, u.end(ctx, e)...)
	}
	u.Warn(fmt.Sprintf("%s is rolled back to %.12s: %v", e.what(), e.Items[0].Old, cause))
	return StatusRolledBack, u.end(ctx, e)
}

// restore has the containers of an entry run their old images again.
func (u *Updater) restore(ctx context.Context, e *entry) error {
	if e.Unit == "" {
		return u.bringBack(ctx, &e.Items[0])
	}
	if err := u.restart(ctx, e.Unit, "update.restore"); err != nil {
		return err
	}
	for i := range e.Items {
		it := &e.Items[i]
		c, err := u.find(ctx, it)
		if err != nil {
			return err
		}
		if c != nil && it.New != "" && c.ImageID == it.New {
			return fmt.Errorf("container %s has come back with the new image: does its unit pull at each start?", it.Name)
		}
	}
	return nil
}

// bringBack removes a container that took another one's place, and brings that
// one back.
func (u *Updater) bringBack(ctx context.Context, it *item) error {
	c, err := u.find(ctx, it)
	if err != nil {
		return err
	}
	if c != nil && c.ID != it.ID {
		err := step.Do(ctx, "update.remove", func() error {
			_, err := u.Engine.Remove(ctx, c.ID, libpod.RemoveOptions{Force: true, Volumes: true})
			return err
		})
		if err != nil && !errors.As(err, new(state.ErrNoContainer)) {
			return err
		}
	}
	return u.Engine.BringBack(ctx, it.ID, it.Name, it.Remove)
}

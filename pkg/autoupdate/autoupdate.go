// Package autoupdate brings newer images to containers whose users asked for
// that, and takes back what does not prove itself. It decides what to update, in
// which order, and what is left to do after a kill; containers are libpod's,
// images package image's, units systemd's.
package autoupdate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// What became of a container, in the field's words.
const (
	StatusFailed     = "failed"
	StatusUpdated    = "true"
	StatusNotUpdated = "false"
	StatusPending    = "pending"
	StatusRolledBack = "rolled back"
)

// Units is the manager of the user's units.
type Units interface {
	// Restart returns when the unit is up, or why it is not.
	Restart(ctx context.Context, unit string) error
	// State is the unit's ActiveState.
	State(ctx context.Context, unit string) (string, error)
}

// Updater updates the containers of one engine.
type Updater struct {
	Engine *libpod.Engine
	Images *image.Store
	Store  *storage.Store
	// Units finds the manager of units, if a container is of one.
	Units func() (Units, error)
	// Pull says how images are brought; its Authfile is for containers without a
	// label of their own.
	Pull image.PullOptions
	// DryRun only looks.
	DryRun bool
	// Rollback brings the old image back if the new one does not prove itself.
	Rollback bool
	// Started hears that there is something to look at.
	Started func()
	// Pulled and Tagged hear what happened to images.
	Pulled func(id, name string)
	Tagged func(id, name string)
	// Warn takes one line for the user.
	Warn func(line string)

	journal journal
	// refused are the images that were rolled back.
	refused []item
	looks   map[pullKey]looked
	pulls   map[pullKey]pulled
}

// Report is what became of a container.
type Report struct {
	ID, Name, Image, Unit string
	Policy                policy.Kind
	Status                string
}

// task is a container to look at.
type task struct {
	*state.Container
	kind policy.Kind
	// unit is the one to restart; empty: pod makes the container anew.
	unit   string
	status string
	// image is the full name that is followed, newID what it leads to now.
	image, newID string
}

// pullKey is what containers have to have in common to share a look.
type pullKey struct{ name, imageID, authfile string }

type looked struct {
	newer bool
	err   error
}

type pulled struct {
	id  string
	err error
}

// Run looks at all running containers that are to be updated and updates them.
// The errors of one do not stop the others.
func (u *Updater) Run(ctx context.Context) ([]Report, []error) {
	u.journal = newJournal(u.Engine.GraphRoot)
	u.looks, u.pulls = map[pullKey]looked{}, map[pullKey]pulled{}
	// What this command starts is no part of a unit that it may be in.
	u.Engine.Unit, u.Engine.NotifySocket = "", ""
	var errs []error
	settled := map[string]string{}
	if !u.DryRun {
		unlock, err := u.Engine.UpdateLock(ctx)
		if err != nil {
			return nil, []error{err}
		}
		defer unlock()
		settled, errs = u.recover(ctx)
	}
	groups, more := u.assemble(ctx)
	errs = append(errs, more...)
	if len(groups) > 0 {
		u.Started()
	}
	var reports []Report
	for _, group := range groups {
		if status := settled[group[0].what()]; status != "" {
			for _, t := range group {
				t.status = status
			}
		} else {
			errs = append(errs, u.update(ctx, group)...)
		}
		for _, t := range group {
			reports = append(reports, t.report())
		}
		if ctx.Err() != nil {
			break
		}
	}
	return reports, append(errs, u.settleNames(context.WithoutCancel(ctx))...)
}

func (t *task) report() Report {
	return Report{ID: t.ID, Name: t.Name, Image: t.Spec.Image, Unit: t.unit, Policy: t.kind, Status: t.status}
}

// what names the group of a task.
func (t *task) what() string { return what(t.unit, t.Name) }

// assemble finds the containers to look at, those of a unit together.
func (u *Updater) assemble(ctx context.Context) ([][]*task, []error) {
	all, err := u.Engine.List(ctx, nil)
	if err != nil {
		return nil, []error{err}
	}
	var errs []error
	byKey := map[string][]*task{}
	for _, c := range all {
		if c.AutoUpdate == nil || u.Engine.Status(c) != libpod.StatusRunning {
			continue
		}
		t, err := u.task(ctx, c)
		if err != nil {
			errs = append(errs, err)
		} else if t != nil {
			byKey[t.what()] = append(byKey[t.what()], t)
		}
	}
	groups := make([][]*task, 0, len(byKey))
	for _, group := range byKey {
		groups = append(groups, group)
	}
	slices.SortFunc(groups, func(a, b []*task) int {
		return cmp.Or(strings.Compare(a[0].unit, b[0].unit), strings.Compare(a[0].Name, b[0].Name))
	})
	return groups, errs
}

// task is what is to be done about a container; nil if nothing is.
func (u *Updater) task(ctx context.Context, c *state.Container) (*task, error) {
	kind, err := policy.Parse(c.AutoUpdate.Policy)
	if err != nil {
		return nil, fmt.Errorf("auto-updating container %s: %w", c.Name, err)
	}
	if kind == policy.Disabled {
		return nil, nil //nolint:nilnil // nothing is to be done
	}
	t := &task{Container: c, kind: kind, status: StatusFailed, image: c.ImageName}
	if t.unit, err = u.Engine.UpdateUnit(ctx, c); err != nil {
		return nil, fmt.Errorf("auto-updating container %s: %w", c.Name, err)
	}
	if t.image == "" {
		return nil, fmt.Errorf("auto-updating container %s: it was not made of an image with a name", c.Name)
	}
	if kind == policy.Registry {
		t.image = strings.TrimPrefix(c.Spec.Image, "docker://")
	}
	if t.unit == "" && c.Run != nil && c.Run.Unit != "" {
		return nil, fmt.Errorf("auto-updating container %s: no %s label found: unit %s starts the container, but did not make it, and would start the old one: "+
			"use a Quadlet file, or `pod generate systemd --new`", c.Name, policy.UnitName, c.Run.Unit)
	}
	return t, nil
}

// update updates the tasks of a unit, or of one container.
func (u *Updater) update(ctx context.Context, group []*task) (errs []error) {
	var newer []*task
	for _, t := range group {
		available, err := u.available(ctx, t)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("checking image updates for container %s: %w", t.Name, err))
		case !available:
			t.status = StatusNotUpdated
		case u.DryRun:
			t.status = StatusPending
		default:
			newer = append(newer, t)
		}
	}
	if len(newer) == 0 {
		return errs
	}
	if err := u.checkTarget(ctx, newer[0]); err != nil {
		return append(errs, err)
	}
	e := &entry{Phase: phaseUpdate, Began: time.Now().UTC(), Unit: newer[0].unit}
	for _, t := range newer {
		e.Items = append(e.Items, item{ID: t.ID, Name: t.Name, Unit: t.Unit, Image: t.image, Old: t.ImageID, Remove: t.Spec.Remove})
	}
	more := u.carryOut(ctx, e, newer, group)
	return append(errs, more...)
}

// checkTarget refuses what would fail anyway, before anything is brought.
func (u *Updater) checkTarget(ctx context.Context, t *task) error {
	var err error
	if t.unit == "" {
		err = u.Engine.CheckRemake(ctx, t.Container)
	} else {
		_, err = u.unitState(ctx, t.unit)
	}
	if err != nil {
		return fmt.Errorf("updating container %s: %w", t.Name, err)
	}
	return nil
}

func (u *Updater) unitState(ctx context.Context, unit string) (string, error) {
	units, err := u.Units()
	if err != nil {
		return "", err
	}
	return units.State(ctx, unit)
}

// available says whether there is a newer image for a container.
func (u *Updater) available(ctx context.Context, t *task) (bool, error) {
	if t.kind == policy.Local {
		config, err := u.Images.Resolve(ctx, t.image)
		t.newID = config.ID
		return err == nil && config.ID != t.ImageID, err
	}
	key := u.key(t)
	l, ok := u.looks[key]
	if !ok {
		l.newer, l.err = u.Images.Newer(ctx, t.ImageID, t.image, u.access(t))
		u.looks[key] = l
	}
	return l.newer, l.err
}

func (u *Updater) key(t *task) pullKey {
	return pullKey{t.image, t.ImageID, u.access(t).Authfile}
}

// access is how a container's registry is reached: as its label says first.
func (u *Updater) access(t *task) image.Access {
	access := u.Pull.Access
	if t.AutoUpdate.Authfile != "" {
		access.Authfile = t.AutoUpdate.Authfile
	}
	return access
}

// bring brings the newer image of a container, once for all that share it.
func (u *Updater) bring(ctx context.Context, t *task) error {
	if t.kind == policy.Local {
		return nil
	}
	key := u.key(t)
	p, ok := u.pulls[key]
	if !ok {
		p.id, p.err = u.pull(ctx, t)
		u.pulls[key] = p
	}
	t.newID = p.id
	return p.err
}

func (u *Updater) pull(ctx context.Context, t *task) (id string, err error) {
	opts := u.Pull
	opts.Policy, opts.Access = image.PolicyAlways, u.access(t)
	old, err := u.Images.Resolve(ctx, t.ImageID)
	if err != nil {
		return "", err
	}
	opts.Platform = image.OtherPlatform(old.Platform)
	err = step.Do(ctx, "update.pull", func() error {
		got, err := u.Images.Pull(ctx, t.image, opts)
		if err == nil && len(got) == 0 {
			err = errors.New("nothing was pulled")
		}
		if err == nil {
			id = got[0].ID
		}
		return err
	})
	if err == nil {
		u.Pulled(id, t.image)
	}
	return id, err
}

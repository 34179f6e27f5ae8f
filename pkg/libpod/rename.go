package libpod

import (
	"context"
	"errors"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Rename gives a container another name. The record's name is the one that
// counts; that in the store is for other tools, and follows.
func (e *Engine) Rename(ctx context.Context, nameOrID, name string) error {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	if err := specgen.CheckName(name); err != nil {
		return err
	}
	if err := step.Do(ctx, "state.rename", func() error { return e.state.Rename(ctx, c.ID, name) }); err != nil {
		return err
	}
	err = step.Do(ctx, "storage.rename", func() error { return e.renameStored(ctx, c.ID, name) })
	if err != nil {
		return errors.Join(err, e.state.Rename(context.WithoutCancel(ctx), c.ID, c.Name))
	}
	c.Name = name
	e.event(ctx, events.Rename, c)
	return nil
}

// renameStored gives the container its name in the store. One that runs on a
// directory has none there.
func (e *Engine) renameStored(ctx context.Context, id, name string) error {
	store, err := e.Storage()
	if err != nil {
		return err
	}
	return e.whileNamed(ctx, store, name, func() error {
		err := store.Rename(ctx, id, name)
		if errors.Is(err, storage.ErrNoContainer) {
			return nil
		}
		return err
	})
}

// whileNamed runs work, which gives something in the store a name, and runs it
// again if a killed command had left that name taken.
func (e *Engine) whileNamed(ctx context.Context, store *storage.Store, name string, work func() error) error {
	err := work()
	if !errors.Is(err, storage.ErrNameInUse) {
		return err
	}
	// By one whose record was lost with its run directory, or that has another
	// name by now, of which a killed rename did not tell the store.
	if sweepErr := e.sweep(ctx, false); sweepErr != nil {
		return errors.Join(err, sweepErr)
	}
	if freeErr := e.freeName(ctx, store, name); freeErr != nil {
		return errors.Join(err, freeErr)
	}
	return work()
}

// freeName takes a name in the store from the container whose record has another.
func (e *Engine) freeName(ctx context.Context, store *storage.Store, name string) error {
	holder, err := store.Container(ctx, name)
	if err != nil || holder.Creator != storage.Creator {
		if errors.Is(err, storage.ErrNoContainer) {
			return nil
		}
		return err
	}
	c, err := e.state.Get(ctx, holder.ID)
	if err != nil || c.Name == name {
		if isAbsent(err) {
			return nil
		}
		return err
	}
	if err := store.Rename(ctx, holder.ID, c.Name); !errors.Is(err, storage.ErrNameInUse) {
		return err
	}
	return store.Rename(ctx, holder.ID, "") // its own name is another's mistake, too
}

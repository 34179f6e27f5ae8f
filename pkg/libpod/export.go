package libpod

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Export writes the root file system of a container as an archive, without what
// is mounted in it. Owners are written as the container numbers them.
func (e *Engine) Export(ctx context.Context, nameOrID string, w io.Writer) error {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return err
	}
	err = e.withRoot(ctx, c, func(root string) error {
		place, err := e.newPlace(ctx, c)
		if err != nil {
			return err
		}
		place.Running = isUp(e.status(c))
		return step.Do(ctx, "export", func() error { return e.Files.Archive(root, place, w) })
	})
	if err != nil {
		return fmt.Errorf("export container %s: %w", c.Name, err)
	}
	e.event(ctx, events.Export, c)
	return nil
}

// withRoot runs work on the mounted root file system of a container, running or
// not. The lock is held for the mount and the unmount only.
func (e *Engine) withRoot(ctx context.Context, c *state.Container, work func(root string) error) (err error) {
	if !c.Spec.Layered() {
		return work(e.rootfsOf(c))
	}
	store, err := e.Storage()
	if err != nil {
		return err
	}
	var root string
	err = step.Do(ctx, "storage.mount", func() error { root, err = store.Mount(ctx, c.ID); return err })
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, step.Do(context.WithoutCancel(ctx), "storage.unmount", func() error {
			_, err := store.Unmount(context.WithoutCancel(ctx), c.ID, false)
			return err
		}))
	}()
	return work(root)
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// userMounts is the file, in a container's run directory, that counts the mounts
// which users asked for: those outlive a run, its own do not.
const userMounts = "user-mounts"

// Mounted is a container whose root file system is mounted.
type Mounted struct{ ID, Name, Path string }

// Mount mounts the root file system of a container for the user and returns
// where; each Mount needs an Unmount.
func (e *Engine) Mount(ctx context.Context, nameOrID string) (string, error) {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	defer e.unlock(lock)
	if !c.Spec.Layered() {
		return e.rootfsOf(c), nil
	}
	store, err := e.Storage()
	if err != nil {
		return "", err
	}
	var path string
	err = step.Do(ctx, "mount", func() error {
		if err := e.countMounts(c.ID, e.mountsOfUser(c.ID)+1); err != nil {
			return err
		}
		path, err = store.Mount(ctx, c.ID)
		return err
	})
	if err != nil {
		return "", errors.Join(err, e.countMounts(c.ID, e.mountsOfUser(c.ID)-1))
	}
	e.event(ctx, events.Mount, c)
	return path, nil
}

// Unmount takes back one mount of the user's, or with force all there are. What
// is not mounted is no error; what only runs is one, unless forced.
func (e *Engine) Unmount(ctx context.Context, nameOrID string, force bool) (*state.Container, error) {
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	store, err := e.Storage()
	if err != nil {
		return nil, err
	}
	count := e.mountsOfUser(c.ID)
	if count == 0 && isUp(e.status(c)) {
		return nil, fmt.Errorf("can't unmount %s last mount, it is still in use", c.ID)
	}
	drop := 1
	if force {
		drop = max(1, count)
	}
	err = step.Do(ctx, "unmount", func() error {
		if force && !isUp(e.status(c)) {
			_, err := store.Unmount(ctx, c.ID, true)
			return errors.Join(err, e.countMounts(c.ID, 0))
		}
		for range drop {
			if _, err := store.Unmount(ctx, c.ID, false); err != nil {
				return err
			}
		}
		return e.countMounts(c.ID, count-drop)
	})
	if err != nil {
		return nil, err
	}
	e.event(ctx, events.Unmount, c)
	return c, nil
}

// Mounts lists the containers that are mounted, because they run or because
// somebody wanted it.
func (e *Engine) Mounts(ctx context.Context) ([]Mounted, error) {
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	store, err := e.Storage()
	if err != nil {
		return nil, err
	}
	var out []Mounted
	for _, c := range all {
		if !c.Spec.Layered() {
			continue
		}
		path, err := store.MountPoint(ctx, c.ID)
		if errors.Is(err, storage.ErrNoContainer) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if path != "" {
			out = append(out, Mounted{c.ID, c.Name, path})
		}
	}
	return out, nil
}

func (e *Engine) mountsOfUser(id string) int {
	data, err := os.ReadFile(filepath.Join(e.paths.container(id), userMounts))
	if err != nil {
		return 0
	}
	count, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || count < 0 {
		return 0
	}
	return count
}

func (e *Engine) countMounts(id string, count int) error {
	dir := e.paths.container(id)
	path := filepath.Join(dir, userMounts)
	if count <= 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("count mounts: %w", err)
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("count mounts: %w", err)
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(count)), 0o600); err != nil {
		return fmt.Errorf("count mounts: %w", err)
	}
	return nil
}

// endMount takes a run's own mount away, and those that killed commands left;
// the user's stay.
func (e *Engine) endMount(ctx context.Context, store *storage.Store, id string) error {
	keep := e.mountsOfUser(id)
	if keep == 0 {
		_, err := store.Unmount(ctx, id, true)
		return err
	}
	for {
		count, err := store.Mounted(ctx, id)
		if err != nil || count <= keep {
			return err
		}
		if _, err := store.Unmount(ctx, id, false); err != nil {
			return err
		}
	}
}

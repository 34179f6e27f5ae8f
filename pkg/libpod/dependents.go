package libpod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// ErrDependents says that other containers need the one that is to be removed.
type ErrDependents struct {
	ID  string
	IDs []string
}

// Error implements error.
func (e ErrDependents) Error() string {
	return fmt.Sprintf("container %s has dependent containers which must be removed before it: %s: container already exists: remove them first, or use --depend",
		e.ID, strings.Join(e.IDs, ", "))
}

// modes are the options that can name another container.
func modes(s *specgen.Container) []*string {
	return []*string{&s.Spaces.PID, &s.Spaces.IPC, &s.Spaces.UTS, &s.Spaces.Cgroup, &s.Spaces.User, &s.Network.Mode}
}

// fixNeeds replaces the names of other containers by their ids, so that they
// stay the same ones when names change hands.
func (e *Engine) fixNeeds(ctx context.Context, s *specgen.Container) error {
	for _, mode := range modes(s) {
		name, ok := strings.CutPrefix(*mode, "container:")
		if !ok {
			continue
		}
		other, err := e.state.Lookup(ctx, name)
		if err != nil {
			return err
		}
		*mode = "container:" + other.ID
	}
	for i, name := range s.Requires {
		other, err := e.state.Lookup(ctx, name)
		if err != nil {
			return fmt.Errorf("--requires: %w", err)
		}
		s.Requires[i] = other.ID
	}
	for i, from := range s.Storage.VolumesFrom {
		name, options, found := strings.Cut(from, ":")
		other, err := e.state.Lookup(ctx, name)
		if err != nil {
			return err
		}
		if s.Storage.VolumesFrom[i] = other.ID; found {
			s.Storage.VolumesFrom[i] += ":" + options
		}
	}
	return nil
}

// needs are the containers whose namespaces or volumes a container uses.
func needs(c *state.Container) []string {
	s := &c.Spec
	var names []string
	for _, mode := range modes(s) {
		if name, ok := strings.CutPrefix(*mode, "container:"); ok {
			names = append(names, name)
		}
	}
	for _, from := range s.Storage.VolumesFrom {
		name, _, _ := strings.Cut(from, ":")
		names = append(names, name)
	}
	return append(names, s.Requires...)
}

// startNeeded starts the containers that c needs running, and before them those
// that they need. seen breaks a ring, which names allow.
func (e *Engine) startNeeded(ctx context.Context, c *state.Container, seen map[string]bool) error {
	seen[c.ID] = true
	volumes := map[string]bool{} // of which a container need not run
	for _, from := range c.Spec.Storage.VolumesFrom {
		name, _, _ := strings.Cut(from, ":")
		volumes[name] = true
	}
	for _, name := range needs(c) {
		if volumes[name] && !slices.Contains(c.Spec.Requires, name) {
			continue
		}
		other, err := e.state.Lookup(ctx, name)
		if err != nil {
			return fmt.Errorf("container %s needs another: %w", c.Name, err)
		}
		if seen[other.ID] {
			continue
		}
		if err := e.startNeeded(ctx, other, seen); err != nil {
			return err
		}
		if status := e.status(other); status == StatusRunning || status == StatusPaused {
			continue
		}
		if _, err := e.startAlone(ctx, other.ID); err != nil {
			return fmt.Errorf("start container %s, which %s needs: %w", other.Name, c.Name, err)
		}
	}
	return nil
}

// means says whether what a user typed names this container.
func means(c *state.Container, nameOrID string) bool {
	return nameOrID != "" && (c.Name == nameOrID || strings.HasPrefix(c.ID, nameOrID))
}

// dependencies are the ids of the containers that c needs, as far as they exist.
func (e *Engine) dependencies(ctx context.Context, c *state.Container) ([]string, error) {
	ids := []string{}
	for _, name := range needs(c) {
		other, err := e.state.Lookup(ctx, name)
		var absent state.ErrNoContainer
		var several state.ErrAmbiguous
		if errors.As(err, &absent) || errors.As(err, &several) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, other.ID) {
			ids = append(ids, other.ID)
		}
	}
	return ids, nil
}

// RemoveDependents removes the containers that need the one named, and those
// that need them; the last in the chain goes first. The container itself stays.
func (e *Engine) RemoveDependents(ctx context.Context, nameOrID string, opts RemoveOptions) error {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return err
	}
	all, err := e.state.Needing(ctx)
	if err != nil {
		return err
	}
	for _, id := range dependents(all, c) {
		var absent state.ErrNoContainer
		if _, err := e.Remove(ctx, id, opts); err != nil && !errors.As(err, &absent) {
			return err
		}
	}
	return nil
}

// checkUnneeded refuses to remove a container that others need.
func (e *Engine) checkUnneeded(ctx context.Context, c *state.Container) error {
	all, err := e.state.Needing(ctx)
	if err != nil {
		return err
	}
	if ids := dependents(all, c); len(ids) > 0 {
		return ErrDependents{ID: c.ID, IDs: ids}
	}
	return nil
}

// RemovalOrder puts the names of containers that need others before those of
// the others.
func (e *Engine) RemovalOrder(ctx context.Context, names []string) ([]string, error) {
	if len(names) < 2 {
		return names, nil
	}
	needing, err := e.state.Needing(ctx)
	if err != nil || len(needing) == 0 {
		return names, err
	}
	typed := make(map[string]string, len(names)) // by id
	byName := make(map[string]*state.Container, len(names))
	for _, name := range names {
		if c, err := e.state.Lookup(ctx, name); err == nil {
			typed[c.ID], byName[name] = name, c
		}
	}
	var ordered []string
	for _, name := range names {
		next := []string{name}
		if c := byName[name]; c != nil {
			for _, id := range slices.Backward(dependents(needing, c)) {
				if other, ok := typed[id]; ok {
					next = append([]string{other}, next...)
				}
			}
		}
		for _, n := range next {
			if !slices.Contains(ordered, n) {
				ordered = append(ordered, n)
			}
		}
	}
	return ordered, nil
}

// dependents are the ids of the containers that need c, directly or not, in the
// order they can be removed in. A ring, which names allow, is no obstacle.
func dependents(all []*state.Container, c *state.Container) []string {
	seen := map[string]bool{c.ID: true}
	var order []string
	var visit func(c *state.Container)
	visit = func(c *state.Container) {
		for _, other := range all {
			if seen[other.ID] || !slices.ContainsFunc(needs(other), func(name string) bool { return means(c, name) }) {
				continue
			}
			seen[other.ID] = true
			visit(other)
			order = append(order, other.ID)
		}
	}
	visit(c)
	return order
}

// foreign lists the containers of the store that are not pod's.
func (e *Engine) foreign(ctx context.Context, store *storage.Store) ([]storage.Container, error) {
	others, err := store.Containers(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := e.state.ListIDs(ctx)
	if err != nil {
		return nil, err
	}
	ours := make(map[string]bool, len(ids))
	for _, id := range ids {
		ours[id] = true
	}
	return slices.DeleteFunc(others, func(c storage.Container) bool {
		return ours[c.ID] || c.Creator == storage.Creator
	}), nil
}

// External says whether another tool has a container of this name or id in the
// same store.
func (e *Engine) External(ctx context.Context, nameOrID string) (bool, error) {
	store, err := e.Storage()
	if err != nil {
		return false, err
	}
	c, err := store.Container(ctx, nameOrID)
	if errors.Is(err, storage.ErrNoContainer) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if c.Creator == storage.Creator {
		return false, nil
	}
	_, err = e.state.Get(ctx, c.ID)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return true, nil
	}
	return false, err
}

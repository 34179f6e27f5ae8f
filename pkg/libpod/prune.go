package libpod

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Pruned is an object that prune removed, and what it held.
type Pruned struct {
	ID   string
	Size int64
}

// PruneContainers removes the containers that do not run and match the filters
// (label, label!, annotation, until, unused-for).
func (e *Engine) PruneContainers(ctx context.Context, filters []string) ([]Pruned, error) {
	for _, f := range filters {
		switch key, _, _ := strings.Cut(f, "="); key {
		case "label", "label!", "annotation", "annotation!", "until", "unused-for":
		default:
			return nil, fmt.Errorf("%s is an invalid filter for prune: use annotation, label, until or unused-for", key)
		}
	}
	if err := e.Reconcile(ctx, false); err != nil {
		return nil, err
	}
	all, err := e.List(ctx, filters)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	byID := make(map[string]*state.Container, len(all))
	for i, c := range all {
		ids[i], byID[c.ID] = c.ID, c
	}
	if ids, err = e.RemovalOrder(ctx, ids); err != nil {
		return nil, err
	}
	var pruned []Pruned
	var errs []error
	for _, id := range ids {
		c := byID[id]
		switch e.status(c) {
		case StatusCreated, StatusExited:
		default:
			continue
		}
		if c.Spec.IsInfra {
			continue // it goes with its pod
		}
		p := Pruned{ID: c.ID}
		if store, err := e.Storage(); err == nil {
			p.Size, _ = store.Size(ctx, c.ID)
		}
		if _, err := e.Remove(ctx, c.ID, RemoveOptions{Volumes: true}); err != nil {
			var needed ErrDependents
			if errors.As(err, &needed) {
				continue // one that is not pruned needs it
			}
			errs = append(errs, err)
			continue
		}
		pruned = append(pruned, p)
	}
	return pruned, errors.Join(errs...)
}

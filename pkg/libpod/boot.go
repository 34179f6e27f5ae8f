package libpod

import (
	"context"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// BootContainer is a container that a boot starts.
type BootContainer struct {
	ID, Name string
	// Needs are the ids of the containers to start before it.
	Needs []string
}

// WantedAtBoot are the containers that a boot starts and that do not run, each
// after those it needs; these are among them, even if no policy wants them.
func (e *Engine) WantedAtBoot(ctx context.Context) ([]BootContainer, error) {
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*state.Container, len(all))
	for _, c := range all {
		byID[c.ID] = c
	}
	var order []BootContainer
	seen := map[string]bool{}
	var visit func(c *state.Container) error
	visit = func(c *state.Container) error {
		if seen[c.ID] {
			return nil // also a ring, which names allow
		}
		seen[c.ID] = true
		needs, err := e.dependencies(ctx, c)
		if err != nil {
			return err
		}
		for _, id := range needs {
			if other := byID[id]; other != nil {
				if err := visit(other); err != nil {
					return err
				}
			}
		}
		switch e.status(c) {
		case StatusCreated, StatusExited:
			order = append(order, BootContainer{ID: c.ID, Name: c.Name, Needs: needs})
		}
		return nil
	}
	for _, c := range all {
		if StartsAtBoot(c) {
			if err := visit(c); err != nil {
				return nil, err
			}
		}
	}
	return order, nil
}

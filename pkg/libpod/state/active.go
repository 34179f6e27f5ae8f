package state

import (
	"context"
	"fmt"
)

// Active returns the containers that have a run in this boot, in the order they
// were created in. Among a thousand that rest it finds the few that run without
// decoding the others.
func (s *Store) Active(ctx context.Context) ([]*Container, error) {
	return s.list(ctx, "list active containers",
		fmt.Sprintf(selectContainers, "id IN (SELECT id FROM run.runs WHERE boot_id = ?1)"), s.bootID)
}

package rootless

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/rootless-pod/pod/internal/flock"
	"github.com/rootless-pod/pod/internal/process"
)

// Migrate ends the pause process and forgets its namespaces, so that the next
// command makes new ones with today's sub-ids. A process that is not provably
// the pause process is left alone. Processes in the old namespaces go on: the
// caller stops containers first.
func Migrate(ctx context.Context, session *Session) error {
	base := session.RunBase
	if err := makePodDir(base); err != nil {
		return err
	}
	unlock, err := flock.Wait(ctx, lockPath(base))
	if err != nil {
		return err
	}
	defer unlock()
	id, err := readIdentity(base)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil && !errors.Is(err, errBadIdentity):
		return err
	case err == nil && id.verify(id.Kind) == nil:
		if err := end(ctx, id.Process); err != nil {
			return fmt.Errorf("end pause process %d: %w", id.Process.PID, err)
		}
	}
	if err := os.Remove(identityPath(base)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget namespaces: %w", err)
	}
	return nil
}

func end(ctx context.Context, id process.ID) error {
	if err := id.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, process.ErrGone) {
		return err
	}
	return id.Wait(ctx)
}

package libpod

import (
	"context"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// conmonPlace returns what puts conmon into a scope of its own: a detached
// container of a systemd user must not end with the session that began it.
func (e *Engine) conmonPlace(_ *state.Container, l *launch) func(ctx context.Context, pid int) error {
	if l.wait != nil || e.cgroupPlan().manager != "systemd" {
		return nil
	}
	return nil
}

package libpod

import (
	"context"
	"path/filepath"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// What units of systemd are made of (pod generate systemd).

// MonitorPIDFile is where the pid of a container's conmon is while it runs.
func (e *Engine) MonitorPIDFile(c *state.Container) string {
	if c.Spec.ConmonPIDFile != "" {
		return c.Spec.ConmonPIDFile
	}
	return filepath.Join(e.paths.container(c.ID), "conmon.pid")
}

// StopTimeout is how many seconds a stop waits before it kills.
func (e *Engine) StopTimeout(c *state.Container) uint {
	switch {
	case c.Spec.Process.StopTimeout != nil:
		return *c.Spec.Process.StopTimeout
	case e.Config.Engine.StopTimeout > 0:
		return e.Config.Engine.StopTimeout
	}
	return defaultStopTimeout
}

// Dependencies are the ids of the containers that are started before c, as far as
// they exist.
func (e *Engine) Dependencies(ctx context.Context, c *state.Container) ([]string, error) {
	return e.dependencies(ctx, c)
}

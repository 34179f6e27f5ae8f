package libpod

import (
	"context"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/stats"
)

// StatTarget says where the statistics of a container come from; false if it
// does not run.
func (e *Engine) StatTarget(c *state.Container) (stats.Target, bool) {
	t := stats.Target{ID: c.ID, Name: c.Name}
	if status := e.status(c); (status != StatusRunning && status != StatusPaused) || c.Run == nil {
		return t, false
	}
	t.Cgroup, t.PID, t.Started = c.Run.Cgroup, c.Run.Init.PID, c.Run.StartedAt
	if e.cgroupsPath(c) == "" {
		t.Cgroup = "" // it is in one that others are in too
	}
	t.HostNetwork = c.Spec.Network.Mode == "host"
	t.SharedPID = c.Spec.Spaces.PID != "" && c.Spec.Spaces.PID != "private"
	return t, true
}

// StatTargets lists what statistics are of: the containers that are named, or
// all that run. Containers that are named and do not run are in resting.
func (e *Engine) StatTargets(ctx context.Context, names []string) (targets []stats.Target, resting []*state.Container, err error) {
	var list []*state.Container
	if len(names) == 0 {
		if list, err = e.state.Active(ctx); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range names {
		c, err := e.state.Lookup(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		list = append(list, c)
	}
	for _, c := range list {
		if t, ok := e.StatTarget(c); ok {
			targets = append(targets, t)
		} else if len(names) > 0 {
			resting = append(resting, c)
		}
	}
	return targets, resting, nil
}

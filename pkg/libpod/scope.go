package libpod

import (
	"context"

	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// placeConmon puts the monitor of a container nobody waits for into a scope of
// its own: it must end neither with the session nor with the unit that began it.
// The runtime has made its own scope by now, so that neither waits for the other,
// and the request goes on beside the rest of the start; Close waits for it.
func (e *Engine) placeConmon(ctx context.Context, c *state.Container, l *launch) {
	if l.wait != nil || e.cgroupPlan().manager != "systemd" {
		return
	}
	uid := 0
	if e.Session.Rootless {
		uid = e.Session.HostUID
	}
	manager, ok := scope.Find(uid, e.Session.RunBase)
	if !ok {
		return
	}
	unit := scope.Unit{
		Name: "pod-conmon-" + c.ID + ".scope", Description: "monitor of container " + c.Name,
		Slice: e.slice(&c.Spec), PID: c.Run.Conmon.PID, Delegate: true,
	}
	ctx = context.WithoutCancel(ctx)
	e.placing.Go(func() {
		if err := manager.Start(ctx, unit); err != nil && e.Warn != nil {
			e.Warn("container " + c.Name + " may end with this session: " + err.Error())
		}
	})
}

package libpod

import (
	"context"

	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// event notes what happened to a container. A log that cannot be written is no
// reason to fail, but one to say so.
func (e *Engine) event(ctx context.Context, status events.Status, c *state.Container) {
	e.write(ctx, containerEvent(status, c))
}

// eventExit notes the end of a run.
func (e *Engine) eventExit(ctx context.Context, c *state.Container) {
	ev := containerEvent(events.Died, c)
	if !c.Last.Unknown {
		ev.ExitCode = &c.Last.Code
	}
	ev.OOMKilled = c.Last.OOMKilled
	e.write(ctx, ev)
}

func containerEvent(status events.Status, c *state.Container) events.Event {
	return events.Event{
		Type: events.Container, Status: status, ID: c.ID, Name: c.Name, Image: c.ImageName,
		PodID: c.Spec.Pod, Attributes: c.Spec.Labels,
	}
}

// networkEvent notes that a container came to a network or left it.
func (e *Engine) networkEvent(ctx context.Context, status events.Status, n *types.Network, c *state.Container) {
	e.write(ctx, events.Event{Type: events.Network, Status: status, ID: c.ID, Name: n.Name, Network: n.Name})
}

// NetworkMade notes that a network was created or removed.
func (e *Engine) NetworkMade(ctx context.Context, status events.Status, n *types.Network) {
	e.write(ctx, events.Event{
		Type: events.Network, Status: status, ID: n.ID, Name: n.Name, Network: n.Name, Attributes: map[string]string{"driver": n.Driver},
	})
}

func (e *Engine) write(ctx context.Context, ev events.Event) {
	if e.Events == nil { // an engine for views alone
		return
	}
	name := "event." + string(ev.Status)
	if ev.Type != events.Container { // a run has events of its volumes too
		name = "event." + string(ev.Type) + "." + string(ev.Status)
	}
	err := step.Do(ctx, name, func() error { return e.Events.Write(ev) })
	if err != nil && e.Warn != nil {
		e.Warn("event " + string(ev.Status) + " was not recorded: " + err.Error())
	}
}

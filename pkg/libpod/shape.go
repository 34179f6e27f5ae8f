package libpod

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/network/shape"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// shapeNetwork gives the network that a container has now the shape of its
// description.
func (e *Engine) shapeNetwork(ctx context.Context, c *state.Container, result *network.Result) error {
	return applyShape(ctx, c, result, c.Spec.Network.Shape)
}

func applyShape(ctx context.Context, c *state.Container, result *network.Result, s specgen.Shape) error {
	if !result.Own {
		return fmt.Errorf("limit the network of container %s: it has none of its own, but that of %s", c.Name, result.Driver)
	}
	err := step.Do(ctx, "network.shape", func() error { return shape.Apply(result.NetNS, s, result.Ports) })
	if err != nil {
		return fmt.Errorf("limit the network of container %s: %w", c.Name, err)
	}
	return nil
}

// reshape changes the network of a container that runs to the shape in c, around
// record, which writes c down. Before anything is touched the run says that it is;
// settle then brings the network in line with what is recorded.
func (e *Engine) reshape(ctx context.Context, c *state.Container, old specgen.Shape, record func() error) error {
	result, ok := NetworkOf(c)
	if !isLive(e.status(c)) || !ok {
		return record()
	}
	ctx = context.WithoutCancel(ctx)
	c.Run.Reshaping = true
	err := step.Do(ctx, "state.reshaping", func() error { return e.state.SetRun(ctx, c.ID, c.Run) })
	if err == nil {
		err = e.shapeNetwork(ctx, c, &result)
	}
	if err == nil {
		err = record()
	}
	if err != nil && result.Own {
		err = errors.Join(err, applyShape(ctx, c, &result, old))
	}
	c.Run.Reshaping = false
	return errors.Join(err, step.Do(ctx, "state.reshaped", func() error { return e.state.SetRun(ctx, c.ID, c.Run) }))
}

// settleShape ends a change of the network that was killed, one way or the other.
func (e *Engine) settleShape(ctx context.Context, c *state.Container) error {
	if !c.Run.Reshaping {
		return nil
	}
	if result, ok := NetworkOf(c); ok {
		if err := e.shapeNetwork(ctx, c, &result); err != nil {
			return err
		}
	}
	c.Run.Reshaping = false
	return e.state.SetRun(ctx, c.ID, c.Run)
}

package build

import (
	"context"
	"fmt"
	"io"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/build"
	"github.com/rootless-pod/pod/pkg/build/plan"
)

// planText is what --plan without a value prints.
const planText = "text"

// printPlans prints what would be built, for each platform.
func printPlans(ctx context.Context, a *cli.App, r *build.Request, format string) error {
	var write func(*plan.Plan, io.Writer) error
	switch format {
	case planText:
		write = (*plan.Plan).Text
	case "json":
		write = (*plan.Plan).JSON
	case "dot":
		write = (*plan.Plan).Dot
	default:
		return fmt.Errorf("--plan %q: use text, json or dot", format)
	}
	plans, err := r.Plans(ctx)
	if err != nil {
		return err
	}
	for _, p := range plans {
		if err := write(p, a.Out); err != nil {
			return fmt.Errorf("print the plan: %w", err)
		}
	}
	return nil
}

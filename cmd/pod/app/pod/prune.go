package pod

import (
	"context"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func runPrune(ctx context.Context, a *cli.App, force bool) error {
	if !force {
		fmt.Fprintln(a.Out, "WARNING! This will remove all stopped/exited pods..")
		if yes, err := a.Confirmed(); err != nil || !yes {
			return err
		}
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	gone, err := e.PrunePods(ctx)
	for _, id := range gone {
		fmt.Fprintln(a.Out, id)
	}
	if err != nil {
		return cli.Many(flatten(err))
	}
	return nil
}

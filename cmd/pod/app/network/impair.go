package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func newImpair(a *cli.App) *cobra.Command {
	var change specgen.ShapeChange
	var clear bool
	cmd := &cobra.Command{
		Use: "impair [options] CONTAINER", Short: "Limit, delay or thin out a container's network",
		Long: "Limit the rate of a container's network, delay what it sends or lose a part of it, at once if it runs, and from\n" +
			"then on. What is not named stays as it is; 0 takes it away. It is done by the kernel's traffic control in the\n" +
			"container's own network namespace, so it needs one.",
		Example: "  pod network impair --rate 10mbit:in --rate 2mbit:out web\n  pod network impair --delay 100ms --loss 1% web\n" +
			"  pod network impair --clear web",
		Args: cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	flag.Shape(fs, "", &change)
	fs.BoolVar(&clear, "clear", false, "Take all of it away")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := change != (specgen.ShapeChange{})
		switch {
		case clear && given:
			return errors.New("--clear goes with no other flag")
		case clear:
			change.Clear()
		case !given:
			return errors.New("say what to change: --rate, --delay, --loss or --clear")
		}
		return runImpair(cmd.Context(), a, args[0], &change)
	}
	return cmd
}

func runImpair(ctx context.Context, a *cli.App, name string, change *specgen.ShapeChange) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	c, err := e.Update(ctx, name, &specgen.Update{Shape: *change})
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Out, c.ID)
	return nil
}

package container

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func newCreate(a *cli.App) *cobra.Command {
	var spec specgen.Container
	cmd := &cobra.Command{
		Use: "create [options] IMAGE [COMMAND [ARG...]]", Short: "Create but do not start a container",
		Long:    "Creates a container of the image and prints its id. `pod start` starts it.",
		Example: "  pod create --name web -p 8080:80 nginx",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().SetInterspersed(false)
	create := flag.Create(cmd.Flags(), &spec)
	cmd.Flags().StringVar(&spec.InitCtr, "init-ctr", "", "Run this container to its end before the others of its pod start: always or once")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runCreate(cmd.Context(), a, &spec, create, args)
	}
	return cli.CompletePod(a, cmd)
}

func runCreate(ctx context.Context, a *cli.App, spec *specgen.Container, create *flag.CreateOptions, args []string) error {
	e, img, err := describe(ctx, a, spec, create, args)
	if err != nil {
		return err
	}
	if err := checkPassthrough(a, spec); err != nil {
		return err
	}
	if _, err := chooseStreams(a, spec, create, true); err != nil {
		return err
	}
	undo, err := enterPod(ctx, a, e, spec)
	if err != nil {
		return err
	}
	c, err := e.Create(ctx, spec, img)
	if err != nil {
		return undo(err)
	}
	if err := writeCIDFile(spec, c.ID, a.FileMode()); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, c.ID)
	return nil
}

package container

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func newKill(a *cli.App) *cobra.Command {
	var sel selection
	var signal string
	cmd := &cobra.Command{
		Use: "kill [options] CONTAINER [CONTAINER...]", Short: "Kill one or more running containers with a specific signal",
		Long: "Sends a signal, SIGKILL if none is named, to the first process of each container.", Example: "  pod kill --signal HUP web",
	}
	sel.endFlags(cmd.Flags(), "Signal", false)
	cmd.Flags().StringVarP(&signal, "signal", "s", "KILL", "Signal to send to the container")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sig, err := specgen.ParseSignal(signal)
		if err != nil {
			return err
		}
		return sel.each(cmd.Context(), a, args, isUp, func(ctx context.Context, e *libpod.Engine, name string) error {
			_, err := e.Kill(ctx, name, sig)
			return err
		})
	}
	return cmd
}

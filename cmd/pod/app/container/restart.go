package container

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newRestart(a *cli.App) *cobra.Command {
	var sel selection
	var running bool
	cmd := &cobra.Command{
		Use: "restart [options] CONTAINER [CONTAINER...]", Short: "Restart one or more containers",
		Long: "Stops containers that run, and starts them all.", Example: "  pod restart web",
	}
	sel.endFlags(cmd.Flags(), "Restart", true)
	cmd.Flags().BoolVar(&running, "running", false, "Restart only running containers")
	timeout := timeFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var usable func(libpod.Status) bool
		if running {
			usable = isUp
			sel.all = len(args) == 0
		}
		return sel.each(cmd.Context(), a, args, usable, func(ctx context.Context, e *libpod.Engine, name string) error {
			_, err := e.Restart(ctx, name, timeout())
			return err
		})
	}
	return cmd
}

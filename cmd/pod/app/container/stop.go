package container

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newStop(a *cli.App) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use: "stop [options] CONTAINER [CONTAINER...]", Short: "Stop one or more containers",
		Long:    "Sends the stop signal (SIGTERM, or what the image or --stop-signal says), and SIGKILL when the timeout has run out.",
		Example: "  pod stop web\n  pod stop --time 2 --all",
	}
	sel.endFlags(cmd.Flags(), "Stop", true)
	cmd.Flags().BoolVarP(&sel.ignore, "ignore", "i", false, "Ignore errors when a specified container is missing")
	timeout := timeFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return sel.each(cmd.Context(), a, args, isUp, func(ctx context.Context, e *libpod.Engine, name string) error {
			_, err := e.Stop(ctx, name, timeout())
			return err
		})
	}
	return cmd
}

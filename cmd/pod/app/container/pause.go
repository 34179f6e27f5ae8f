package container

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newPause(a *cli.App) *cobra.Command {
	return pauseCommand(a, true, "pause", "Pause all the processes in one or more containers", libpod.StatusRunning)
}

func newUnpause(a *cli.App) *cobra.Command {
	return pauseCommand(a, false, "unpause", "Unpause the processes in one or more containers", libpod.StatusPaused)
}

func pauseCommand(a *cli.App, pause bool, verb, about string, when libpod.Status) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use: verb + " [options] CONTAINER [CONTAINER...]", Short: about,
		Long: about + ", by the cgroup freezer.", Example: "  pod " + verb + " web",
	}
	sel.endFlags(cmd.Flags(), verb, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		only := func(s libpod.Status) bool { return s == when }
		return sel.each(cmd.Context(), a, args, only, func(ctx context.Context, e *libpod.Engine, name string) error {
			_, err := e.Pause(ctx, name, pause)
			return err
		})
	}
	return cmd
}

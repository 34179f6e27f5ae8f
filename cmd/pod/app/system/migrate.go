package system

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/rootless"
)

func newMigrate(a *cli.App) *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate [options]", Short: "Make pod's namespaces anew",
		Long: "Stop all running containers and end the process that keeps pod's namespaces. The next command\n" +
			"makes new ones, with the subordinate ids the user has then.",
		Example: "  pod system migrate",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runMigrate(cmd.Context(), a) },
	}
	flag.Unsupported(cmd.Flags(), "migrate-db", "new-runtime")
	return cmd
}

func runMigrate(ctx context.Context, a *cli.App) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if err := stopAll(ctx, a, e); err != nil {
		return err
	}
	return rootless.Migrate(ctx, a.Session())
}

// stopAll stops what runs.
func stopAll(ctx context.Context, a *cli.App, e *libpod.Engine) error {
	all, err := e.List(ctx, nil)
	if err != nil {
		return err
	}
	var failed cli.Many
	for _, c := range all {
		switch e.Status(c) {
		case libpod.StatusPaused:
			_, err = e.Pause(ctx, c.ID, false)
		case libpod.StatusRunning, libpod.StatusStopping, libpod.StatusInitialized:
		default:
			continue
		}
		if err == nil {
			_, err = e.Stop(ctx, c.ID, nil)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintf(a.Out, "stopped %s\n", c.ID)
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

package system

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/rootless"
)

type migrateOptions struct {
	runtime  string
	database bool
}

func newMigrate(a *cli.App) *cobra.Command {
	o := migrateOptions{}
	cmd := &cobra.Command{
		Use: "migrate [options]", Short: "Make pod's namespaces anew",
		Long: "Stop all running containers and end the process that keeps pod's namespaces. The next command\n" +
			"makes new ones, with the subordinate ids the user has then.",
		Example: "  pod system migrate\n  pod system migrate --new-runtime crun",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runMigrate(cmd.Context(), a, o) },
	}
	fs := cmd.Flags()
	fs.StringVar(&o.runtime, "new-runtime", "", "Have all containers use this OCI runtime from now on")
	fs.BoolVar(&o.database, "migrate-db", false, "For podman's former database; pod has nothing to migrate and says so")
	return cmd
}

func runMigrate(ctx context.Context, a *cli.App, o migrateOptions) error {
	if o.database {
		return errors.New("--migrate-db: there is nothing to migrate: pod's records have been in SQLite from the first, and it leaves podman's (BoltDB) alone: run podman system migrate for those")
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if o.runtime != "" { // before anything is stopped
		if err := e.CheckRuntime(o.runtime); err != nil {
			return err
		}
	}
	if err := stopAll(ctx, a, e); err != nil {
		return err
	}
	if o.runtime != "" {
		if err := e.SetRuntime(ctx, o.runtime); err != nil {
			return err
		}
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

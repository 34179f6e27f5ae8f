package container

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newCleanup(a *cli.App) *cobra.Command {
	var all, latest, remove, rmi bool
	var exec string
	var ids selection
	cmd := &cobra.Command{
		Use: "cleanup [options] CONTAINER [CONTAINER...]", Short: "Clean up network and mountpoints of one or more containers",
		Long:    "Does what is left to do after a container has ended. pod calls it by itself; by hand it is needed only to help after somebody killed processes.",
		Example: "  pod container cleanup --all",
	}
	fs := cmd.Flags()
	fs.BoolVarP(&all, "all", "a", false, "Cleans up all containers")
	fs.BoolVarP(&latest, "latest", "l", false, "Act on the latest container")
	fs.StringVar(&exec, "exec", "", "Clean up the given exec session instead of the container")
	fs.BoolVar(&remove, "rm", false, "After cleanup, remove the container entirely")
	fs.BoolVar(&rmi, "rmi", false, "After cleanup, remove the image entirely")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		e, err := a.Engine(ctx)
		if err != nil {
			return err
		}
		if rmi {
			return fmt.Errorf("--rmi is not supported yet")
		}
		if exec != "" {
			return e.CleanupExec(ctx, exec)
		}
		ids.all, ids.latest = all, latest
		names, err := ids.names(ctx, e, args, nil)
		if err != nil {
			return err
		}
		return many(a, names, func(name string) (string, error) {
			if err := e.Cleanup(ctx, name); err != nil || !remove {
				return "", err
			}
			_, err := e.Remove(ctx, name, libpod.RemoveOptions{Volumes: true})
			return "", err
		})
	}
	return cmd
}

package container

import (
	"errors"

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
	fs.BoolVar(&rmi, "rmi", false, "With --rm, remove the image too unless something else uses it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		e, err := a.Engine(ctx)
		if err != nil {
			return err
		}
		if rmi && !remove {
			return errors.New("--rmi needs --rm: the container uses the image")
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
			c, err := e.Remove(ctx, name, libpod.RemoveOptions{Volumes: true})
			if err != nil || !rmi {
				return "", err
			}
			images, err := a.Images(ctx)
			if err != nil {
				return "", err
			}
			return "", images.RemoveUnused(ctx, c.ImageID, c.ImageName)
		})
	}
	return cmd
}

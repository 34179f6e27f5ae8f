package container

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newInit(a *cli.App) *cobra.Command {
	var opts selection
	cmd := &cobra.Command{
		Use: "init [options] CONTAINER [CONTAINER...]", Short: "Initialize one or more containers",
		Long: "Makes everything a container needs, mounts and network included, without starting its process.", Example: "  pod init web",
	}
	cmd.Flags().BoolVarP(&opts.all, "all", "a", false, "Initialize all containers")
	cmd.Flags().BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest container")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		names, err := opts.names(cmd.Context(), e, args, func(s libpod.Status) bool {
			return s == libpod.StatusCreated || s == libpod.StatusExited
		})
		if err != nil {
			return err
		}
		return many(a, names, func(name string) (string, error) { return name, e.Init(cmd.Context(), name) })
	}
	return cmd
}

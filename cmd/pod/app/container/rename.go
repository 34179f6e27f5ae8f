package container

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func newRename(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "rename CONTAINER NAME", Short: "Rename an existing container",
		Long: "Gives a container another name.", Example: "  pod rename web web-old", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			return e.Rename(cmd.Context(), args[0], args[1])
		},
	}
}

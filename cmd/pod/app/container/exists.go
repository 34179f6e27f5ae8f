package container

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func newExists(a *cli.App) *cobra.Command {
	var external bool
	cmd := &cobra.Command{
		Use: "exists [options] CONTAINER", Short: "Check if a container exists",
		Long:    "Exits with 0 if the container exists, with 1 if it does not.",
		Example: "  pod container exists web && echo yes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			_, err = e.Lookup(cmd.Context(), args[0])
			if absent(err) && external {
				return cli.Exists(e.External(cmd.Context(), args[0]))
			}
			if absent(err) {
				return cli.Exists(false, nil)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&external, "external", false, "Check external storage containers as well as pod containers")
	return cmd
}

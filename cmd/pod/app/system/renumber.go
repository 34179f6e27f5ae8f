package system

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func newRenumber(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "renumber", Short: "Clean up locks",
		Long: "Remove the files of locks that nobody holds. pod's locks are named after their containers and have no\n" +
			"numbers, so two objects never share one and there is no limit to raise: nothing else is to be done.",
		Example: "  pod system renumber",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			return e.Renumber(cmd.Context())
		},
	}
}

package manifest

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func newExists(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:     "exists MANIFEST",
		Short:   "Check if a manifest list exists in local storage",
		Long:    "Exit with 0 if a local list answers to the name, with 1 if none does.",
		Example: "  pod manifest exists app:v1 && echo here",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExists(cmd.Context(), a, args)
		},
	}
}

func runExists(ctx context.Context, a *cli.App, args []string) error {
	if err := named(args); err != nil {
		return err
	}
	store, err := lists(ctx, a)
	if err != nil {
		return err
	}
	return cli.Exists(store.Exists(args[0]))
}

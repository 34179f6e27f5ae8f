package image

import (
	"context"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func newExists(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:     "exists IMAGE",
		Short:   "Check if an image exists in local storage",
		Long:    "Exit with 0 if a local image answers to the name, with 1 if none does.",
		Example: "  pod image exists app && echo here",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExists(cmd.Context(), a, args[0])
		},
	}
}

func runExists(ctx context.Context, a *cli.App, name string) error {
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	return cli.Exists(images.Exists(ctx, name))
}

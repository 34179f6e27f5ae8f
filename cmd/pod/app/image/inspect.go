package image

import (
	"context"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/image"
)

func newInspect(a *cli.App) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:     "inspect [options] IMAGE [IMAGE...]",
		Short:   "Display the configuration of an image",
		Long:    "Print all about local images as JSON, or what --format asks for.",
		Example: "  pod image inspect app\n  pod image inspect --format '{{.Config.Cmd}}' app",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInspect(cmd.Context(), a, format, args)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "json", "Format the output to a Go template or json")
	return cmd
}

func runInspect(ctx context.Context, a *cli.App, format string, names []string) error {
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	var found []*image.Data
	var errs []error
	for _, name := range names {
		data, err := images.Inspect(ctx, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, data)
	}
	if err := output.Values(a.Out, found, format); err != nil {
		return err
	}
	return failed(errs)
}

package artifact

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/image/artifact"
)

func newInspect(a *cli.App) *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:     "inspect [options] ARTIFACT",
		Short:   "Inspect an OCI artifact",
		Long:    "Print all about a local artifact as JSON, or what --format asks for.",
		Example: "  pod artifact inspect registry.example/team/model:v1\n  pod artifact inspect --format '{{.TotalSizeBytes}}' registry.example/team/model:v1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInspect(cmd.Context(), a, format, args[0])
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "json", "Format the output to a Go template or json")
	return cmd
}

func runInspect(ctx context.Context, a *cli.App, format, name string) error {
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	found, err := store.Find(ctx, name)
	if err != nil {
		return err
	}
	return output.Value(a.Out, struct{ *artifact.Artifact }{found}, format)
}

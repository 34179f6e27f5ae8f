package artifact

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/image/artifact"
)

func newExtract(a *cli.App) *cobra.Command {
	opts := &artifact.ExtractOptions{}
	cmd := &cobra.Command{
		Use:   "extract [options] ARTIFACT PATH",
		Short: "Extract an OCI artifact to a local path",
		Long: "Copy the files of a local artifact into a directory under their titles, or one file to a path. What the\n" +
			"artifact says never leads out of the directory, and links that are there are replaced, not followed.",
		Example: "  pod artifact extract registry.example/team/model:v1 .\n  pod artifact extract --title weights.bin registry.example/team/model:v1 w",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExtract(cmd.Context(), a, *opts, args)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&opts.Digest, "digest", "", "Only extract blob with the given digest")
	fs.StringVar(&opts.Title, "title", "", "Only extract blob with the given title")
	return cmd
}

func runExtract(ctx context.Context, a *cli.App, opts artifact.ExtractOptions, args []string) error {
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	opts.Mode = a.FileMode()
	return store.Extract(ctx, args[0], args[1], opts)
}

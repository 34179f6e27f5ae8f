package artifact

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image/artifact"
)

type addOptions struct {
	artifact.AddOptions
	annotations func() (map[string]string, error)
}

func newAdd(a *cli.App) *cobra.Command {
	opts := &addOptions{}
	cmd := &cobra.Command{
		Use:   "add [options] ARTIFACT PATH [...PATH]",
		Short: "Add an OCI artifact to the local store",
		Long: "Make an artifact of files in the local store, or add files to one, and print its digest. Each file keeps its\n" +
			"name as title.",
		Example: "  pod artifact add registry.example/team/model:v1 weights.bin\n  pod artifact add --append registry.example/team/model:v1 README",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runAdd(cmd.Context(), a, opts, args)
		},
	}
	fs := cmd.Flags()
	opts.annotations = flag.Annotations(fs, "Set an `annotation` for the specified files of artifact: KEY=VALUE")
	fs.BoolVarP(&opts.Append, "append", "a", false, "Append files to an existing artifact")
	fs.StringVar(&opts.FileType, "file-type", "", "Set file type to use for the artifact (layer)")
	fs.BoolVar(&opts.Replace, "replace", false, "Replace an existing artifact")
	fs.StringVar(&opts.Type, "type", "", "Use type to describe an artifact")
	return cmd
}

func runAdd(ctx context.Context, a *cli.App, opts *addOptions, args []string) (err error) {
	if opts.Annotations, err = opts.annotations(); err != nil {
		return err
	}
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	added, err := store.Add(ctx, args[0], args[1:], opts.AddOptions)
	if err != nil {
		return err
	}
	a.Record(events.Artifact, events.Add, added.String(), args[0])
	fmt.Fprintln(a.Out, added.Encoded())
	return nil
}

package manifest

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/image/manifestlist"
)

type annotateOptions struct {
	manifestlist.AnnotateOptions
	annotations func() (map[string]string, error)
}

func newAnnotate(a *cli.App) *cobra.Command {
	opts := &annotateOptions{}
	cmd := &cobra.Command{
		Use:   "annotate [options] LIST [IMAGEORARTIFACT]",
		Short: "Add or update information about an entry in a manifest list or image index",
		Long: "Change what a local list says of one of its members, which is named by its digest, as an image or as a\n" +
			"file of an artifact; or with --index of itself. Prints the list's id.",
		Example: "  pod manifest annotate --arch arm64 --variant v8 app:v1 sha256:15352d97781ffdf357bf3459c037be3efac4133dc9070c2dce7eca7c05c3e736\n" +
			"  pod manifest annotate --index --annotation org.opencontainers.image.licenses=MIT app:v1",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runAnnotate(cmd.Context(), a, opts, args)
		},
	}
	fs := cmd.Flags()
	opts.annotations = flag.Annotations(fs, "Set an `annotation` for the specified image or artifact: KEY=VALUE")
	platform(fs, &opts.Instance)
	fs.BoolVar(&opts.Index, "index", false, "Apply --annotation and --subject to the image index itself")
	fs.StringSliceVar(&opts.Instance.OSFeatures, "os-features", nil, "Override the OS `features` of the specified image")
	fs.StringVar(&opts.Subject, "subject", "", "Set the `subject` to which the image index refers")
	return cmd
}

func runAnnotate(ctx context.Context, a *cli.App, opts *annotateOptions, args []string) (err error) {
	switch {
	case named(args) != nil:
		return errNoList
	case opts.Index && len(args) > 1:
		return fmt.Errorf("did not expect image or artifact name %q when modifying the entire index", args[1])
	case !opts.Index && len(args) < 2:
		return errors.New("expected an instance digest, image name, or artifact name")
	}
	if opts.Instance.Annotations, err = opts.annotations(); err != nil {
		return err
	}
	store, err := lists(ctx, a)
	if err != nil {
		return err
	}
	member := ""
	if len(args) > 1 {
		member = args[1]
	}
	id, err := store.Annotate(ctx, args[0], member, opts.AnnotateOptions)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Out, id)
	return nil
}

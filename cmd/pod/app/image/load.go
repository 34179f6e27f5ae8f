package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type loadOptions struct {
	input  string
	quiet  bool
	policy string
}

func newLoad(a *cli.App) *cobra.Command {
	opts := &loadOptions{}
	cmd := &cobra.Command{
		Use:     "load [options]",
		Short:   "Load image(s) from a tar archive",
		Long:    "Load images from an archive or directory that save wrote: docker-archive, oci-archive, oci-dir, docker-dir.",
		Example: "  pod load --input app.tar\n  pod load < app.tar",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runLoad(cmd.Context(), a, opts)
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&opts.input, "input", "i", "", "Load images from specified archive file (default stdin)")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Suppress the output")
	registry.SignaturePolicy(fs, &opts.policy)
	return cmd
}

func runLoad(ctx context.Context, a *cli.App, opts *loadOptions) error {
	if _, err := a.Settings(); err != nil {
		return err
	}
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	load := image.LoadOptions{Quiet: opts.quiet, Progress: a.Err, SignaturePolicy: opts.policy}
	var names []string
	if opts.input != "" {
		err = step.Do(ctx, "image.load", func() error { names, err = images.Load(ctx, opts.input, load); return err })
	} else {
		if terminal(a.In) {
			return errors.New("cannot read from terminal, use command-line redirection or the --input flag")
		}
		err = step.Do(ctx, "image.load", func() error { names, err = images.LoadReader(ctx, a.In, load); return err })
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		recordNamed(ctx, a, images, events.LoadArchive, name)
		fmt.Fprintln(a.Out, "Loaded image: "+name)
	}
	a.CollectGarbage(ctx)
	return nil
}

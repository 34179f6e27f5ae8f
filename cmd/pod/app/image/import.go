package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

func newImport(a *cli.App) *cobra.Command {
	opts := &image.ImportOptions{}
	cmd := &cobra.Command{
		Use:     "import [options] PATH [REFERENCE]",
		Short:   "Import a tarball to create a filesystem image",
		Long:    "Make an image of one layer from an archive of a file system: a file, an http(s) address, or - for standard input.",
		Example: "  pod import rootfs.tar localhost/rootfs\n  pod import --change CMD=/bin/sh - < rootfs.tar",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImport(cmd.Context(), a, *opts, args)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&opts.Arch, "arch", "", "Set the architecture of the imported image")
	fs.StringArrayVarP(&opts.Changes, "change", "c", nil, "Apply the following possible instructions to the created image (default []): CMD | ENTRYPOINT | ENV | EXPOSE | LABEL | ONBUILD | STOPSIGNAL | USER | VOLUME | WORKDIR")
	fs.StringVarP(&opts.Message, "message", "m", "", "Set commit message for imported image")
	fs.StringVar(&opts.OS, "os", "", "Set the OS of the imported image")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Suppress output")
	fs.StringVar(&opts.Variant, "variant", "", "Set the variant of the imported image")
	registry.SignaturePolicy(fs, &opts.SignaturePolicy)
	return cmd
}

func runImport(ctx context.Context, a *cli.App, opts image.ImportOptions, args []string) error {
	if len(args) == 2 {
		opts.Reference = args[1]
	}
	opts.Progress = a.Err
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	var id string
	if args[0] == "-" {
		if terminal(a.In) {
			return errors.New("cannot read from terminal, use command-line redirection")
		}
		id, err = images.ImportReader(ctx, a.In, opts)
	} else {
		id, err = images.Import(ctx, args[0], opts)
	}
	if err != nil {
		return err
	}
	record(a, events.Import, id, opts.Reference)
	fmt.Fprintln(a.Out, "sha256:"+id)
	return nil
}

package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type saveOptions struct {
	image.SaveOptions
	output string
	multi  bool
}

func newSave(a *cli.App) *cobra.Command {
	opts := &saveOptions{}
	cmd := &cobra.Command{
		Use:   "save [options] IMAGE [IMAGE...]",
		Short: "Save image(s) to an archive",
		Long: "Save an image, with more names if they are given after it, or with --multi-image-archive several images, to\n" +
			"an archive or a directory. Without --output the archive goes to standard output.",
		Example: "  pod save --output app.tar app:v1\n  pod save --format oci-archive -o app.oci app:v1\n  pod save -m app db > both.tar",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSave(cmd.Context(), a, opts, args)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&opts.Compress, "compress", false, "Compress tarball image layers when saving to a directory using the 'dir' transport")
	fs.StringVar(&opts.Format, "format", image.FormatDockerArchive, "Save image to docker-archive, docker-dir, oci-archive, oci-dir")
	fs.BoolVarP(&opts.multi, "multi-image-archive", "m", false, "Interpret additional arguments as images not tags and create a multi-image-archive (only for docker-archive)")
	fs.StringVarP(&opts.output, "output", "o", "", "Write to a specified file (default: stdout, which must be redirected)")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Suppress the output")
	fs.BoolVar(&opts.Uncompressed, "uncompressed", false, "Accept uncompressed layers when copying OCI images")
	registry.SignaturePolicy(fs, &opts.SignaturePolicy)
	return cmd
}

func runSave(ctx context.Context, a *cli.App, opts *saveOptions, args []string) error {
	conf, err := a.Config()
	if err != nil {
		return err
	}
	names := args
	if !opts.multi && !conf.Engine.MultiImageArchive {
		names, opts.Tags = args[:1], args[1:]
	}
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	opts.Progress = a.Err
	if opts.output != "" {
		err = saveToFile(ctx, a, images, opts, names)
	} else {
		err = saveToStream(ctx, a, images, opts, names)
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		recordNamed(ctx, a, images, events.Save, name)
	}
	return nil
}

// saveToFile makes an archive's file itself: the libraries would with a mode of
// their own.
func saveToFile(ctx context.Context, a *cli.App, images *image.Store, opts *saveOptions, names []string) error {
	made := false
	if !strings.HasSuffix(opts.Format, "-dir") {
		if f, err := os.OpenFile(opts.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, a.FileMode()); err == nil {
			made = f.Close() == nil
		}
	}
	err := images.Save(ctx, names, opts.output, opts.SaveOptions)
	if err == nil || !made {
		return err
	}
	if gone := os.Remove(opts.output); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// saveToStream writes an archive to standard output.
func saveToStream(ctx context.Context, a *cli.App, images *image.Store, opts *saveOptions, names []string) error {
	switch {
	case strings.HasSuffix(opts.Format, "-dir"):
		return fmt.Errorf("format %s needs --output DIRECTORY", opts.Format)
	case terminal(a.Out):
		return errors.New("refusing to save to terminal: use --output, or redirect standard output")
	}
	return images.SaveTo(ctx, names, a.Out, opts.SaveOptions)
}

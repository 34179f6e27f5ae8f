package manifest

import (
	"context"
	"errors"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type pushOptions struct {
	image.PushListOptions
	registry    registry.Flags
	compression registry.Compression
	digestfile  string
	all, remove bool
}

func newPush(a *cli.App) *cobra.Command {
	opts := &pushOptions{}
	cmd := &cobra.Command{
		Use:   "push [options] LIST [DESTINATION]",
		Short: "Push a manifest list or image index to a registry",
		Long: "Bring a local list and its images to a registry, an OCI layout or a directory. Without a destination it\n" +
			"goes to the registry in its name. Transports: docker:// (the default), oci:, dir:.",
		Example: "  pod manifest push app:v1 registry.example/team/app:v1\n  pod manifest push --rm --digestfile digest app:v1 docker://registry.example/team/app:v1",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPush(cmd.Context(), a, opts, args)
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&opts.AddCompression, "add-compression", nil, "Add instances with selected compression while pushing: gzip, zstd or zstd:chunked")
	fs.BoolVar(&opts.all, "all", true, "Also push the images in the list")
	opts.registry.Add(fs)
	opts.registry.AddInsecure(fs)
	opts.compression.Add(fs, &opts.PushOptions)
	fs.StringVar(&opts.digestfile, "digestfile", "", "After copying the image, write the digest of the resulting digest to the file")
	fs.StringVarP(&opts.Format, "format", "f", "", "Manifest type (oci or v2s2) to attempt to use when pushing the manifest list (default is manifest type of source)")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Don't output progress information when pushing lists")
	fs.BoolVar(&opts.RemoveSignatures, "remove-signatures", false, "Don't copy signatures when pushing images")
	fs.BoolVar(&opts.remove, "rm", false, "Remove the manifest list if push succeeds")
	fs.BoolVarP(&opts.remove, "purge", "p", false, "Remove the local manifest list after push")
	fs.Lookup("purge").Hidden = true
	registry.Signing(fs, &opts.Signing)
	registry.SignBy(fs, &opts.Signing)
	return cmd
}

func runPush(ctx context.Context, a *cli.App, opts *pushOptions, args []string) error {
	if err := named(args); err != nil {
		return err
	}
	access, err := opts.registry.Access()
	if err != nil {
		return err
	}
	conf, err := a.Config()
	if err != nil {
		return err
	}
	opts.Access, opts.ListOnly = access, !opts.all
	opts.compression.Fill(conf, &opts.PushOptions)
	opts.Progress, opts.Ask = a.Err, registry.AskPassphrase(a.In, a.Err)
	destination := ""
	if len(args) > 1 {
		destination = args[1]
	}
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	pushed, err := images.PushList(ctx, args[0], destination, opts.PushListOptions)
	if err != nil {
		return err
	}
	a.Record(events.Image, events.Push, pushed.ID, pushed.Destination)
	if err := registry.WriteDigest(opts.digestfile, pushed.Digest, a.FileMode()); err != nil {
		return err
	}
	if !opts.remove {
		return nil
	}
	_, errs := images.Remove(ctx, []string{pushed.ID}, image.RemoveOptions{Lists: true, Force: true})
	return errors.Join(errs...)
}

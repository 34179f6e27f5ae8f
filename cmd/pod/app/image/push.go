package image

import (
	"context"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type pushOptions struct {
	image.PushOptions
	registry    registry.Flags
	compression registry.Compression
	digestfile  string
}

func newPush(a *cli.App) *cobra.Command {
	opts := &pushOptions{}
	cmd := &cobra.Command{
		Use:   "push [options] IMAGE [DESTINATION]",
		Short: "Push an image to a specified destination",
		Long: "Bring a local image to a registry, an archive or a directory. Without a destination it goes to the registry\n" +
			"in its name. Transports: docker:// (the default), oci:, oci-archive:, docker-archive:, docker-daemon:, dir:,\n" +
			"containers-storage:.",
		Example: "  pod push registry.example/team/app:v1\n  pod push app docker://registry.example/team/app:v2\n  pod push app oci-archive:app.tar:v2",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPush(cmd.Context(), a, opts, args)
		},
	}
	fs := cmd.Flags()
	opts.registry.Add(fs)
	opts.registry.AddRetry(fs, "push")
	opts.registry.AddPolicy(fs)
	fs.BoolVar(&opts.Compress, "compress", false, "Compress tarball image layers when pushing to a directory using the 'dir' transport (default is same compression type as source)")
	opts.compression.Add(fs, &opts.PushOptions)
	fs.StringVar(&opts.digestfile, "digestfile", "", "Write the digest of the pushed image to the specified file")
	fs.IntSliceVar(&opts.EncryptLayers, "encrypt-layer", nil, "Layers to encrypt, 0-indexed, negative ones from the end (default is all if --encryption-key is given)")
	fs.StringArrayVar(&opts.EncryptionKeys, "encryption-key", nil, "Key with the encryption protocol to use to encrypt the image (e.g. jwe:/path/to/key.pem)")
	fs.StringVarP(&opts.Format, "format", "f", "", "Manifest type (oci or v2s2) to use in the destination (default is manifest type of source, with fallbacks)")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Suppress output information when pushing images")
	fs.BoolVar(&opts.RemoveSignatures, "remove-signatures", false, "Discard any pre-existing signatures in the image")
	registry.Signing(fs, &opts.Signing)
	registry.SignBy(fs, &opts.Signing)
	flag.ContentTrust(fs)
	return cmd
}

func runPush(ctx context.Context, a *cli.App, opts *pushOptions, args []string) error {
	access, err := opts.registry.Access()
	if err != nil {
		return err
	}
	opts.Access = access
	conf, err := a.Config()
	if err != nil {
		return err
	}
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
	pushed, err := images.Push(ctx, args[0], destination, opts.PushOptions)
	if err != nil {
		return err
	}
	record(a, events.Push, pushed.ID, pushed.Destination)
	return registry.WriteDigest(opts.digestfile, pushed.Digest, a.FileMode())
}

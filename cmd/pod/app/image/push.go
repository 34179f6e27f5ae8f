package image

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type pushOptions struct {
	image.PushOptions
	registry   flag.Registry
	digestfile string
	level      int
	fs         *pflag.FlagSet
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
	opts.fs = fs
	opts.registry.Add(fs)
	opts.registry.AddRetry(fs, "push")
	opts.registry.AddPolicy(fs)
	fs.BoolVar(&opts.Compress, "compress", false, "Compress tarball image layers when pushing to a directory using the 'dir' transport (default is same compression type as source)")
	fs.StringVar(&opts.CompressionFormat, "compression-format", "", "Compression format to use: gzip, zstd or zstd:chunked")
	fs.IntVar(&opts.level, "compression-level", 0, "Compression level to use")
	fs.BoolVar(&opts.ForceCompression, "force-compression", false, "Use the specified compression algorithm even if the destination contains a differently-compressed variant already")
	fs.StringVar(&opts.digestfile, "digestfile", "", "Write the digest of the pushed image to the specified file")
	fs.IntSliceVar(&opts.EncryptLayers, "encrypt-layer", nil, "Layers to encrypt, 0-indexed, negative ones from the end (default is all if --encryption-key is given)")
	fs.StringArrayVar(&opts.EncryptionKeys, "encryption-key", nil, "Key with the encryption protocol to use to encrypt the image (e.g. jwe:/path/to/key.pem)")
	fs.StringVarP(&opts.Format, "format", "f", "", "Manifest type (oci or v2s2) to use in the destination (default is manifest type of source, with fallbacks)")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Suppress output information when pushing images")
	fs.BoolVar(&opts.RemoveSignatures, "remove-signatures", false, "Discard any pre-existing signatures in the image")
	flag.Signing(fs, &opts.Signing)
	flag.ContentTrust(fs)
	return cmd
}

func runPush(ctx context.Context, a *cli.App, opts *pushOptions, args []string) error {
	access, err := opts.registry.Access()
	if err != nil {
		return err
	}
	opts.Access = access
	if err := opts.compression(a); err != nil {
		return err
	}
	opts.Progress, opts.Ask = a.Err, flag.AskPassphrase(a.In, a.Err)
	destination := ""
	if len(args) > 1 {
		destination = args[1]
	}
	images, err := a.Images(ctx)
	if err != nil {
		return err
	}
	pushed, err := images.Push(ctx, args[0], destination, opts.PushOptions)
	if err != nil {
		return err
	}
	record(a, events.Push, pushed.ID, pushed.Destination)
	if opts.digestfile == "" {
		return nil
	}
	if err := os.WriteFile(opts.digestfile, []byte(pushed.Digest), a.FileMode()); err != nil {
		return fmt.Errorf("--digestfile: the image is pushed, but its digest %s was not written: %w", pushed.Digest, err)
	}
	return nil
}

// compression takes what the flags do not say from containers.conf. A format that
// the user names is meant: what is compressed otherwise is compressed anew.
func (o *pushOptions) compression(a *cli.App) error {
	conf, err := a.Config()
	if err != nil {
		return err
	}
	if o.fs.Changed("compression-format") {
		if !o.fs.Changed("force-compression") {
			o.ForceCompression = true
		}
	} else if o.CompressionFormat = conf.Engine.CompressionFormat; o.CompressionFormat == "" && o.ForceCompression {
		o.CompressionFormat = "gzip"
	}
	if o.fs.Changed("compression-level") {
		o.CompressionLevel = &o.level
	} else {
		o.CompressionLevel = conf.Engine.CompressionLevel
	}
	return nil
}

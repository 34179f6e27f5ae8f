package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type pullOptions struct {
	image.PullOptions
	registry registry.Flags
}

func newPull(a *cli.App) *cobra.Command {
	opts := &pullOptions{}
	cmd := &cobra.Command{
		Use:   "pull [options] IMAGE [IMAGE...]",
		Short: "Pull an image from a registry",
		Long: "Bring images from a registry, an archive or a directory, and print their ids. A name without registry is\n" +
			"looked for as registries.conf says, or on docker.io when it says nothing. Transports: docker://, oci:,\n" +
			"oci-archive:, docker-archive:, dir:, containers-storage:.",
		Example: "  pod pull docker.io/library/alpine\n  pod pull --creds me:secret registry.example/app:1\n  pod pull oci-archive:app.tar",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPull(cmd.Context(), a, opts, args)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&opts.AllTags, "all-tags", "a", false, "All tagged images in the repository will be pulled")
	fs.StringVar(&opts.Arch, "arch", "", "Use `ARCH` instead of the architecture of the machine for choosing images")
	fs.StringVar(&opts.OS, "os", "", "Use `OS` instead of the running OS for choosing images")
	fs.StringVar(&opts.Variant, "variant", "", "Use VARIANT instead of the running architecture variant for choosing images")
	fs.StringVar(&opts.Platform, "platform", "", "Specify the platform for selecting the image. (Conflicts with arch and os)")
	fs.StringVar(&opts.Policy, "policy", image.PolicyAlways, "Pull image policy: always, missing, never, newer")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Suppress output information when pulling images")
	opts.registry.Add(fs)
	opts.registry.AddRetry(fs, "pull")
	opts.registry.AddPolicy(fs)
	fs.StringArrayVar(&opts.DecryptionKeys, "decryption-key", nil, "Key needed to decrypt the image: KEY[:PASSPHRASE]")
	flag.ContentTrust(fs)
	return cmd
}

func runPull(ctx context.Context, a *cli.App, opts *pullOptions, names []string) error {
	if opts.Platform != "" && (opts.Arch != "" || opts.OS != "") {
		return errors.New("--platform option can not be specified with --arch or --os")
	}
	access, err := opts.registry.Access()
	if err != nil {
		return err
	}
	opts.Access = access
	if _, err := a.Settings(); err != nil {
		return err
	}
	opts.Progress = a.Err
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		pulled, err := images.Pull(ctx, name, opts.PullOptions)
		if err != nil {
			record(a, events.PullError, "", name)
			errs = append(errs, err)
			continue
		}
		for _, img := range pulled {
			record(a, events.Pull, img.ID, name)
			fmt.Fprintln(a.Out, img.ID)
		}
	}
	if len(errs) < len(names) {
		a.CollectGarbage(ctx)
	}
	return failed(errs)
}

package artifact

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
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
		Use:     "pull [options] ARTIFACT",
		Short:   "Pull an OCI artifact",
		Long:    "Bring an artifact from a registry into the local store, and print its digest.",
		Example: "  pod artifact pull registry.example/team/model:v1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPull(cmd.Context(), a, opts, args[0])
		},
	}
	fs := cmd.Flags()
	opts.registry.Add(fs)
	opts.registry.AddRetry(fs, "pull")
	fs.StringArrayVar(&opts.DecryptionKeys, "decryption-key", nil, "Key needed to decrypt the artifact: KEY[:PASSPHRASE]")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Suppress output information when pulling artifacts")
	return cmd
}

func runPull(ctx context.Context, a *cli.App, opts *pullOptions, name string) (err error) {
	if opts.Access, err = opts.registry.Access(); err != nil {
		return err
	}
	opts.Progress = a.Err
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	pulled, err := store.Pull(ctx, name, opts.PullOptions)
	if err != nil {
		return err
	}
	a.Record(events.Artifact, events.Pull, pulled.String(), name)
	fmt.Fprintln(a.Out, pulled.Encoded())
	return nil
}

package artifact

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type pushOptions struct {
	image.PushOptions
	registry   registry.Flags
	digestfile string
}

func newPush(a *cli.App) *cobra.Command {
	opts := &pushOptions{}
	cmd := &cobra.Command{
		Use:     "push [options] ARTIFACT",
		Short:   "Push an OCI artifact",
		Long:    "Bring a local artifact to the registry in its name.",
		Example: "  pod artifact push registry.example/team/model:v1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPush(cmd.Context(), a, opts, args[0])
		},
	}
	fs := cmd.Flags()
	opts.registry.Add(fs)
	opts.registry.AddRetry(fs, "push")
	opts.registry.AddPolicy(fs)
	fs.StringVar(&opts.digestfile, "digestfile", "", "Write the digest of the pushed artifact to the specified file")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Suppress output information when pushing artifacts")
	registry.Signing(fs, &opts.Signing)
	registry.SignBy(fs, &opts.Signing)
	return cmd
}

func runPush(ctx context.Context, a *cli.App, opts *pushOptions, name string) (err error) {
	if opts.Access, err = opts.registry.Access(); err != nil {
		return err
	}
	opts.Progress, opts.Ask = a.Err, registry.AskPassphrase(a.In, a.Err)
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	pushed, err := store.Push(ctx, name, opts.PushOptions)
	if err != nil {
		return err
	}
	a.Record(events.Artifact, events.Push, pushed.String(), name)
	return registry.WriteDigest(opts.digestfile, pushed.String(), a.FileMode())
}

package artifact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image/artifact"
)

func newRm(a *cli.App) *cobra.Command {
	opts := &artifact.RemoveOptions{}
	cmd := &cobra.Command{
		Use: "rm [options] ARTIFACT [ARTIFACT...]", Aliases: []string{"remove"},
		Short:   "Remove one or more OCI artifacts",
		Long:    "Remove artifacts from the local store, and print their digests.",
		Example: "  pod artifact rm registry.example/team/model:v1\n  pod artifact rm --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRm(cmd.Context(), a, *opts, args)
		},
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.All, "a", "Remove all artifacts")
	fs.BoolVarP(&opts.Ignore, "ignore", "i", false, "Ignore error if artifact does not exist")
	return cmd
}

func runRm(ctx context.Context, a *cli.App, opts artifact.RemoveOptions, names []string) error {
	switch {
	case opts.All && len(names) > 0:
		return errors.New("when using the --all switch, you may not pass any artifact names or digests")
	case !opts.All && len(names) == 0:
		return errors.New("a single argument must be specified: the name or digest of an artifact, or --all")
	}
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	groups := [][]string{nil} // all
	if !opts.All {
		groups = slices.Collect(slices.Chunk(names, 1))
	}
	var errs []error
	for _, group := range groups {
		var failed []error
		_ = engine.WithReserve(func() error { // its error is among failed
			var removed []digest.Digest
			removed, failed = store.Remove(ctx, group, opts)
			for _, d := range removed {
				a.Record(events.Artifact, events.Remove, d.String(), strings.Join(group, " "))
				fmt.Fprintln(a.Out, d.Encoded())
			}
			return errors.Join(failed...)
		})
		errs = append(errs, failed...)
	}
	if len(errs) > 0 {
		return cli.Many(errs)
	}
	return nil
}

package container

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
)

type diffOptions struct {
	format string
	latest bool
}

// newDiff is `container diff`, or with images the top-level form.
func newDiff(a *cli.App, images bool) *cobra.Command {
	var opts diffOptions
	cmd := &cobra.Command{
		Use: "diff [options] CONTAINER [CONTAINER]", Short: "Inspect changes to the container's file systems",
		Long: "Lists the files that a container has added (A), changed (C) and deleted (D) over its image, or over another container. " +
			"What is mounted in it is left out.",
		Example: "  pod container diff web\n  pod container diff --format json web", Args: cobra.MaximumNArgs(2),
	}
	if images {
		cmd.Use, cmd.Short = "diff [options] {CONTAINER|IMAGE} [{CONTAINER|IMAGE}]", "Display the changes to the object's file system"
		cmd.Example = "  pod diff web\n  pod diff --format json alpine"
	}
	flag.DiffFormat(cmd.Flags(), &opts.format)
	flag.Latest(cmd.Flags(), &opts.latest)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runDiff(cmd.Context(), a, opts, args, libpod.DiffScope{Containers: true, Images: images && !opts.latest})
	}
	return cmd
}

func runDiff(ctx context.Context, a *cli.App, opts diffOptions, args []string, scope libpod.DiffScope) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	switch {
	case opts.latest && len(args) > 0:
		return errors.New("--latest and containers cannot be used together")
	case opts.latest:
		c, err := e.Latest(ctx)
		if err != nil {
			return err
		}
		args = []string{c.ID}
	case len(args) == 0:
		return errors.New("container must be specified: name one, or use --latest")
	}
	args = append(args, "")
	changes, err := e.Diff(ctx, args[0], args[1], scope)
	if err != nil {
		return err
	}
	return output.Changes(a.Out, changes, opts.format)
}

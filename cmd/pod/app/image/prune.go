package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

type pruneOptions struct {
	image.PruneOptions
	force, buildCache, external bool
}

func newPrune(a *cli.App) *cobra.Command {
	opts := &pruneOptions{}
	cmd := &cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove unused images",
		Long:    "Remove dangling images: those without a name on which nothing is built. With --all also named ones that no container uses.",
		Example: "  pod image prune --force\n  pod image prune --all --filter unused-for=30d",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPrune(cmd.Context(), a, opts)
		},
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.All, "a", "Remove all images not in use by containers, not just dangling ones")
	fs.StringArrayVar(&opts.Filters, "filter", nil, "Provide filter values (e.g. 'label=<key>=<value>', 'until=24h', 'unused-for=30d')")
	fs.BoolVarP(&opts.force, "force", "f", false, "Do not prompt for confirmation")
	fs.BoolVar(&opts.buildCache, "build-cache", false, "Remove the cache of builds too (--mount=type=cache)")
	fs.BoolVar(&opts.external, "external", false, "Remove images even when other tools' containers, such as those of builds, use them")
	return cmd
}

func runPrune(ctx context.Context, a *cli.App, opts *pruneOptions) error {
	var err error
	if opts.Filters, opts.UnusedFor, err = flag.PruneFilters(opts.Filters); err != nil {
		return err
	}
	if !opts.force {
		what := "all dangling images"
		if opts.All {
			what = "all images without at least one container associated with them"
		}
		yes, err := confirm(a.In, a.Out, what)
		if err != nil || !yes {
			return err
		}
	}
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if opts.external {
		opts.External = func(id string) (bool, error) { return e.External(ctx, id) }
	}
	if opts.buildCache {
		if err := image.DropBuildCache(a.Session().HostUID); err != nil {
			return err
		}
	}
	removed, errs := images.PruneWithin(ctx, opts.PruneOptions, e.WithReserve)
	for _, img := range removed {
		record(a, events.Remove, img.ID, img.ID)
		fmt.Fprintln(a.Out, img.ID)
	}
	if len(removed) > 0 {
		record(a, events.Prune, "", "")
	}
	return failed(errs)
}

// confirm asks before something is removed.
func confirm(in io.Reader, out io.Writer, what string) (bool, error) {
	fmt.Fprintf(out, "WARNING! This command removes %s.\nAre you sure you want to continue? [y/N] ", what)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	return strings.HasPrefix(strings.ToLower(answer), "y"), nil
}

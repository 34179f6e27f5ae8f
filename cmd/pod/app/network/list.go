package network

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
)

type listOptions struct {
	filters                   []string
	format                    string
	noTrunc, noHeading, quiet bool
}

func newList(a *cli.App) *cobra.Command {
	opts := &listOptions{}
	cmd := &cobra.Command{
		Use: "ls [options]", Aliases: []string{"list"}, Short: "List networks",
		Long:    "List networks: those of pod and podman, which are the same.",
		Example: "  pod network ls\n  pod network ls --filter driver=bridge --format '{{.Name}} {{.Subnets}}'", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), a, opts) },
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&opts.filters, "filter", "f", nil, "Provide filter values (e.g. 'name=podman')")
	fs.StringVar(&opts.format, "format", "", "Pretty-print networks to JSON or using a Go template")
	fs.BoolVar(&opts.noTrunc, "no-trunc", false, "Do not truncate the network ID")
	fs.BoolVarP(&opts.noHeading, "noheading", "n", false, "Do not print headers")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "display only names")
	return cmd
}

// row is a network in the list; its id is cut in tables only.
type row struct {
	types.Network
	short bool
}

// ID is the network's id as the list shows it.
func (r row) ID() string {
	if r.short {
		return output.ShortID(r.Network.ID)
	}
	return r.Network.ID
}

// Labels are the labels on one line.
func (r row) Labels() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Network.Labels)) {
		all = append(all, name+"="+r.Network.Labels[name])
	}
	return strings.Join(all, ",")
}

func runList(ctx context.Context, a *cli.App, opts *listOptions) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	networks, wrong, err := e.ListNetworks(ctx, opts.filters)
	if err != nil {
		return err
	}
	for _, w := range wrong {
		a.Warn("%v", w)
	}
	rows := make([]row, len(networks))
	for i, n := range networks {
		rows[i] = row{Network: n, short: !opts.noTrunc}
	}
	return output.List(a.Out, rows, output.Options{
		Format: opts.format, NoHeading: opts.noHeading, Quiet: opts.quiet, QuietTemplate: "{{.Name}}", JSONValue: networks,
		DefaultTable: `{{.ID}}\t{{.Name}}\t{{.Driver}}`, Headers: map[string]string{"ID": "NETWORK ID", "Created": "CREATED"},
	})
}

package artifact

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/image"
)

type listOptions struct {
	format    string
	noTrunc   bool
	noHeading bool
}

func newList(a *cli.App) *cobra.Command {
	opts := &listOptions{}
	cmd := &cobra.Command{
		Use: "ls [options]", Aliases: []string{"list"},
		Short:   "List OCI artifacts",
		Long:    "List the artifacts in the local store.",
		Example: "  pod artifact ls\n  pod artifact ls --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runList(cmd.Context(), a, opts)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&opts.format, "format", "", "Format the output to JSON or a Go template")
	fs.BoolVar(&opts.noTrunc, "no-trunc", false, "Do not truncate output")
	fs.BoolVarP(&opts.noHeading, "noheading", "n", false, "Do not print column headings")
	return cmd
}

// row is an artifact in the list.
type row struct {
	Repository, Tag, Digest string
	Created, CreatedAt      string
	Size, VirtualSize       string
}

func runList(ctx context.Context, a *cli.App, opts *listOptions) error {
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	artifacts, err := store.List(ctx)
	if err != nil {
		return err
	}
	rows := make([]row, 0, len(artifacts))
	for _, found := range artifacts {
		out := row{
			Digest: found.Digest.Encoded(), Size: strings.ReplaceAll(output.Size(found.TotalSizeBytes()), " ", ""),
			VirtualSize: strconv.FormatInt(found.TotalSizeBytes(), 10),
		}
		out.Repository, out.Tag = image.SplitName(found.Name)
		if !opts.noTrunc {
			out.Digest = output.ShortID(out.Digest)
		}
		if created := found.Created(); !created.IsZero() {
			out.Created, out.CreatedAt = output.Ago(created), created.UTC().Format(time.RFC3339)
		}
		rows = append(rows, out)
	}
	return output.List(a.Out, rows, output.Options{
		Format: opts.format, NoHeading: opts.noHeading,
		DefaultTable: `{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.Created}}\t{{.Size}}`,
	})
}

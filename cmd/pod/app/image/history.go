package image

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/image"
)

// createdByWidth is what a table shows of a step's command.
const createdByWidth = 45

type historyOptions struct {
	format                string
	human, noTrunc, quiet bool
}

func newHistory(a *cli.App) *cobra.Command {
	opts := &historyOptions{}
	cmd := &cobra.Command{
		Use:     "history [options] IMAGE",
		Short:   "Show history of a specified image",
		Long:    "Show the steps by which an image was made, the last one first, with the size of what each one added.",
		Example: "  pod history app\n  pod history --no-trunc --format '{{.CreatedBy}}' app",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runHistory(cmd.Context(), a, opts, args[0])
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&opts.format, "format", "", "Change the output to JSON or a Go template")
	fs.BoolVarP(&opts.human, "human", "H", true, "Display dates in human readable format")
	fs.BoolVar(&opts.noTrunc, "no-trunc", false, "Do not truncate the output")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Display the numeric IDs only")
	return cmd
}

func runHistory(ctx context.Context, a *cli.App, opts *historyOptions, name string) error {
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	layers, err := images.History(ctx, name)
	if err != nil {
		return err
	}
	rows := make([]historyRow, 0, len(layers))
	for i := range layers {
		rows = append(rows, historyRowOf(&layers[i], opts))
	}
	out := output.Options{
		Format: opts.format, Quiet: opts.quiet,
		DefaultTable: `{{.ID}}\t{{.Created}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`,
	}
	if output.IsJSON(opts.format) {
		out.JSONValue = historyDocuments(layers)
	}
	return output.List(a.Out, rows, out)
}

// historyRow is a step as templates see it.
type historyRow struct {
	ID, Created, CreatedAt, CreatedSince, CreatedBy, Size, Comment string
	Tags                                                           []string
}

func historyRowOf(l *image.HistoryLayer, opts *historyOptions) historyRow {
	row := historyRow{
		ID: l.ID, CreatedBy: strings.Join(strings.Fields(l.CreatedBy), " "), Comment: l.Comment, Tags: l.Tags,
		Size: units.HumanSizeWithPrecision(float64(l.Size), 3), CreatedSince: "N/A",
	}
	if l.Created != nil {
		row.CreatedAt, row.CreatedSince = l.Created.Format(time.RFC3339), output.Ago(*l.Created)
	}
	row.Created = row.CreatedAt
	if opts.human {
		row.Created = row.CreatedSince
	}
	if !opts.noTrunc {
		row.ID = output.ShortID(l.ID)
		if runes := []rune(row.CreatedBy); len(runes) > createdByWidth {
			row.CreatedBy = string(runes[:createdByWidth-3]) + "..."
		}
	}
	return row
}

// historyDocument is a step as JSON, with podman's keys.
type historyDocument struct {
	ID        string     `json:"id"`
	Time      *time.Time `json:"created,omitempty"`
	CreatedBy string     `json:"CreatedBy,omitempty"`
	Tags      []string   `json:"tags,omitempty"`
	Size      int64      `json:"size"`
	Comment   string     `json:"comment,omitempty"`
	Created   string     `json:"Created"`
}

func historyDocuments(layers []image.HistoryLayer) []historyDocument {
	out := make([]historyDocument, 0, len(layers))
	for _, l := range layers {
		doc := historyDocument{ID: l.ID, Time: l.Created, CreatedBy: l.CreatedBy, Tags: l.Tags, Size: l.Size, Comment: l.Comment}
		if l.Created != nil {
			doc.Created = l.Created.Format(time.RFC3339)
		}
		out = append(out, doc)
	}
	return out
}

func newTree(a *cli.App) *cobra.Command {
	children := false
	cmd := &cobra.Command{
		Use:     "tree [options] IMAGE",
		Short:   "Print layer hierarchy of an image in a tree format",
		Long:    "Show the layers of an image with their sizes, and of which images each one is the top; or what is built on it.",
		Example: "  pod image tree app\n  pod image tree --whatrequires base",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTree(cmd.Context(), a, children, args[0])
		},
	}
	cmd.Flags().BoolVar(&children, "whatrequires", false, "Show all child images and layers of the specified image")
	return cmd
}

func runTree(ctx context.Context, a *cli.App, children bool, name string) error {
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	drawn, err := images.Tree(ctx, name, children)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Out, drawn)
	return err
}

package image

import (
	"context"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/image"
)

type searchOptions struct {
	image.SearchOptions
	registry   registry.Flags
	compatible bool
	format     string
}

func newSearch(a *cli.App) *cobra.Command {
	opts := &searchOptions{}
	cmd := &cobra.Command{
		Use:   "search [options] TERM",
		Short: "Search registry for image",
		Long: "Look for images at the registry that the term begins with, or at those that registries.conf has for short names\n" +
			"(docker.io when it says nothing). With --list-tags the term is a repository. A registry without search answers\n" +
			"from its catalogue.",
		Example: "  pod search --filter is-official --limit 3 alpine\n  pod search registry.example/team/\n  pod search --list-tags registry.example/team/app",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSearch(cmd.Context(), a, opts, args[0])
		},
	}
	fs := cmd.Flags()
	opts.registry.Add(fs)
	fs.BoolVar(&opts.compatible, "compatible", false, "List stars, official and automated columns (Docker compatibility)")
	flag.Filter(fs, &opts.Filters, "f")
	fs.StringVar(&opts.format, "format", "", "Change the output format to JSON or a Go template")
	fs.IntVar(&opts.Limit, "limit", 0, "Limit the number of results")
	fs.BoolVar(&opts.ListTags, "list-tags", false, "List the tags of the input registry")
	fs.BoolVar(&opts.NoTrunc, "no-trunc", false, "Do not truncate the output")
	return cmd
}

func runSearch(ctx context.Context, a *cli.App, opts *searchOptions, term string) error {
	access, err := opts.registry.Access()
	if err != nil {
		return err
	}
	opts.Access = access
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	found, err := images.Search(ctx, term, opts.SearchOptions)
	if err != nil || len(found) == 0 && !output.IsJSON(opts.format) {
		return err
	}
	out := output.Options{Format: opts.format, DefaultTable: `{{.Name}}\t{{.Description}}`}
	switch {
	case opts.ListTags:
		out.DefaultTable = `{{.Name}}\t{{.Tag}}`
		out.JSONValue = taggedDocuments(found)
	case opts.compatible:
		out.DefaultTable += `\t{{.Stars}}\t{{.Official}}\t{{.Automated}}`
	}
	return output.List(a.Out, found, out)
}

// taggedDocument are the tags of a repository, as JSON.
type taggedDocument struct {
	Name string
	Tags []string
}

func taggedDocuments(found []image.SearchResult) []taggedDocument {
	docs := []taggedDocument{}
	for _, r := range found {
		if len(docs) == 0 || docs[len(docs)-1].Name != r.Name {
			docs = append(docs, taggedDocument{Name: r.Name})
		}
		last := &docs[len(docs)-1]
		last.Tags = append(last.Tags, r.Tag)
	}
	return docs
}

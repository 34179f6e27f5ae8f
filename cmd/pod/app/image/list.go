package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/image"
)

type listOptions struct {
	all, digests, history, noTrunc, noHeading, quiet bool
	filters                                          []string
	format, sort                                     string
}

func newList(a *cli.App, name string) *cobra.Command {
	opts := &listOptions{}
	cmd := &cobra.Command{
		Use:     name + " [options] [IMAGE]",
		Short:   "List images in local storage",
		Long:    "List the images in local storage, those of podman, buildah and skopeo too.",
		Example: "  pod " + name + "\n  pod " + name + " --filter dangling=true --quiet\n  pod " + name + " --format '{{.Repository}} {{.Size}}'",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runList(cmd.Context(), a, opts, args)
		},
	}
	if name == "list" {
		cmd.Aliases = []string{"ls"}
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Show all images (default hides intermediate images)")
	fs.BoolVar(&opts.digests, "digests", false, "Show digests")
	flag.Filter(fs, &opts.filters, "f")
	fs.StringVar(&opts.format, "format", "", "Change the output format to JSON or a Go template")
	fs.BoolVar(&opts.history, "history", false, "Display the image name history")
	fs.BoolVar(&opts.noTrunc, "no-trunc", false, "Do not truncate output")
	fs.BoolVarP(&opts.noHeading, "noheading", "n", false, "Do not print column headings")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Display only image IDs")
	fs.StringVar(&opts.sort, "sort", "created", "Sort by created, id, repository, size, tag")
	return cmd
}

func runList(ctx context.Context, a *cli.App, opts *listOptions, args []string) error {
	filters := opts.filters
	if len(args) > 0 {
		if len(filters) > 0 {
			return errors.New("cannot specify an image and a filter(s)")
		}
		filters = []string{"reference=" + args[0]}
	}
	less, err := order(opts.sort)
	if err != nil {
		return err
	}
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	// The plain table needs nothing of the images' own files.
	details := opts.format != ""
	found, err := images.List(ctx, image.ListOptions{Filters: filters, All: opts.all, Details: details})
	if err != nil {
		return err
	}
	var rows []row
	for i := range found {
		rows = append(rows, rowsOf(&found[i], opts.noTrunc)...)
	}
	slices.SortStableFunc(rows, less)
	if opts.quiet && opts.format == "" {
		// An image with several names is printed once.
		seen := map[string]bool{}
		rows = slices.DeleteFunc(rows, func(r row) bool {
			twice := seen[r.ID]
			seen[r.ID] = true
			return twice
		})
	}
	out := output.Options{
		Format: opts.format, DefaultTable: opts.columns(), NoHeading: opts.noHeading, Quiet: opts.quiet,
		Headers: map[string]string{
			"ID": "IMAGE ID", "CreatedSince": "CREATED", "LastUsed": "LAST USED", "Os": "OS", "ParentId": "PARENT ID",
		},
	}
	if output.IsJSON(opts.format) {
		out.JSONValue = documents(rows)
	}
	return output.List(a.Out, rows, out)
}

// columns are those of the default table.
func (o *listOptions) columns() string {
	columns := []string{"{{.Repository}}", "{{.Tag}}"}
	if o.digests {
		columns = append(columns, "{{.Digest}}")
	}
	columns = append(columns, "{{.ID}}", "{{.Created}}", "{{.Size}}")
	if o.history {
		columns = append(columns, "{{.History}}")
	}
	return strings.Join(columns, `\t`)
}

// row is an image under one of its names.
type row struct {
	Repository, Tag, ID, Digest  string
	Created, CreatedAt           string
	CreatedSince                 string
	CreatedTime                  string
	Size                         string
	SharedSize, VirtualSize      int64
	Containers                   int
	LastUsed                     string
	Dangling, ReadOnly           bool
	IsDangling, IsReadOnly       bool
	IsManifestList               bool
	Labels                       map[string]string
	Names, RepoTags, RepoDigests []string
	History, Os, Arch            string
	Id, ParentId                 string //nolint:revive // the field's own spelling
	summary                      *image.Summary
}

// rowsOf returns one row per name, or one for an image without.
func rowsOf(img *image.Summary, full bool) []row {
	names := img.Names
	if len(names) == 0 {
		names = []string{""}
	}
	id := output.ShortID(img.ID)
	if full {
		id = "sha256:" + img.ID
	}
	rows := make([]row, 0, len(names))
	for _, name := range names {
		repository, tag := image.SplitName(name)
		since := output.Ago(img.Created)
		at := img.Created.UTC().Format("2006-01-02 15:04:05 -0700 MST")
		history := "<none>"
		if len(img.NamesHistory) > 0 {
			history = strings.Join(img.NamesHistory, ", ")
		}
		rows = append(rows, row{
			Repository: repository, Tag: tag, ID: id, Digest: img.Digest, Created: since, CreatedSince: since,
			CreatedAt: at, CreatedTime: at, Size: output.Size(img.Size), VirtualSize: img.Size,
			LastUsed: output.Ago(img.LastUsed), Containers: img.Containers, Dangling: img.Dangling, IsDangling: img.Dangling,
			ReadOnly: img.ReadOnly, IsReadOnly: img.ReadOnly, IsManifestList: img.List, Labels: img.Labels,
			Names: img.Names, RepoTags: img.Names, RepoDigests: img.RepoDigests, History: history,
			Os: img.OS, Arch: img.Arch, Id: img.ID, ParentId: img.ParentID, summary: img,
		})
	}
	return rows
}

// order returns how rows are sorted: the newest and the biggest first.
func order(by string) (func(a, b row) int, error) {
	switch by {
	case "created":
		return func(a, b row) int { return b.summary.Created.Compare(a.summary.Created) }, nil
	case "id":
		return func(a, b row) int { return cmp.Compare(a.summary.ID, b.summary.ID) }, nil
	case "repository":
		return func(a, b row) int { return cmp.Compare(a.Repository, b.Repository) }, nil
	case "size":
		return func(a, b row) int { return cmp.Compare(b.summary.Size, a.summary.Size) }, nil
	case "tag":
		return func(a, b row) int { return cmp.Compare(a.Tag, b.Tag) }, nil
	}
	return nil, fmt.Errorf("%q is not a valid value for --sort: choose created, id, repository, size or tag", by)
}

// document is a row as JSON, with podman's keys.
type document struct {
	ID             string            `json:"Id"`
	ParentID       string            `json:"ParentId"`
	RepoTags       []string          `json:"RepoTags"`
	RepoDigests    []string          `json:"RepoDigests"`
	Size           int64             `json:"Size"`
	SharedSize     int64             `json:"SharedSize"`
	VirtualSize    int64             `json:"VirtualSize"`
	Labels         map[string]string `json:"Labels"`
	Containers     int               `json:"Containers"`
	ReadOnly       bool              `json:"ReadOnly,omitempty"`
	Dangling       bool              `json:"Dangling,omitempty"`
	Arch           string            `json:"Arch,omitempty"`
	Digest         string            `json:"Digest,omitempty"`
	History        []string          `json:"History,omitempty"`
	IsManifestList bool              `json:"IsManifestList,omitempty"`
	Names          []string          `json:"Names,omitempty"`
	OS             string            `json:"Os,omitempty"`
	Created        int64             `json:"Created"`
	CreatedAt      string            `json:"CreatedAt"`
	LastUsed       string            `json:"LastUsed"`
	Repository     string            `json:"Repository,omitempty"`
	Tag            string            `json:"Tag,omitempty"`
}

func documents(rows []row) []document {
	out := make([]document, 0, len(rows))
	for _, r := range rows {
		s := r.summary
		doc := document{
			ID: s.ID, ParentID: s.ParentID, RepoTags: s.Names, RepoDigests: s.RepoDigests, Size: s.Size, VirtualSize: s.Size,
			Labels: s.Labels, Containers: s.Containers, ReadOnly: s.ReadOnly, Dangling: s.Dangling, Arch: s.Arch,
			Digest: s.Digest, History: s.NamesHistory, IsManifestList: s.List, Names: s.Names, OS: s.OS,
			Created: s.Created.Unix(), CreatedAt: s.Created.UTC().Format(time.RFC3339),
			LastUsed: s.LastUsed.UTC().Format(time.RFC3339),
		}
		if len(s.Names) > 0 {
			doc.Repository, doc.Tag = r.Repository, r.Tag
		}
		out = append(out, doc)
	}
	return out
}

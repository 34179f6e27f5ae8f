package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/secret"
)

// report is all about a secret, in the field's form.
type report struct {
	ID         string
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Spec       spec
	SecretData string `json:"SecretData,omitempty"`
}

type spec struct {
	Name   string
	Driver driver
	Labels map[string]string
}

type driver struct {
	Name    string
	Options map[string]string
}

type inspectOptions struct {
	format       string
	pretty, show bool
}

func newInspect(a *cli.App) *cobra.Command {
	opts := &inspectOptions{}
	cmd := &cobra.Command{
		Use: "inspect [options] SECRET [SECRET...]", Short: "Inspect a secret",
		Long:    "Print all about secrets but for their content, which --showsecret shows too.",
		Example: "  pod secret inspect db-password\n  pod secret inspect --showsecret --format '{{.SecretData}}' db-password",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), a, opts, args) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&opts.format, "format", "f", "", "Format inspect output using Go template")
	fs.BoolVar(&opts.pretty, "pretty", false, "Print inspect output in human-readable format")
	fs.BoolVar(&opts.show, "showsecret", false, "Display the secret")
	return cmd
}

func runInspect(ctx context.Context, a *cli.App, opts *inspectOptions, names []string) error {
	if opts.pretty && opts.format != "" {
		return errors.New("--pretty and --format exclude each other")
	}
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	var found []report
	var failed cli.Many
	for _, name := range names {
		r, err := describe(store, name, opts.show)
		if err != nil {
			failed = append(failed, fmt.Errorf("inspecting secret: %w", err))
			continue
		}
		found = append(found, r)
	}
	switch {
	case opts.pretty:
		for _, r := range found {
			r.pretty(a.Out)
		}
	case len(found) > 0 || len(failed) == 0:
		if err := output.Values(a.Out, found, opts.format); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

func describe(store *secret.Store, name string, show bool) (report, error) {
	s, err := store.Lookup(name)
	if err != nil {
		return report{}, err
	}
	r := report{ID: s.ID, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, Spec: spec{
		Name: s.Name, Driver: driver{s.Driver, s.Options}, Labels: s.Labels,
	}}
	if r.Spec.Labels == nil {
		r.Spec.Labels = map[string]string{}
	}
	if show {
		data, err := store.Data(s.ID)
		if err != nil {
			return report{}, err
		}
		r.SecretData = string(data)
	}
	return r, nil
}

// pretty prints a secret as people read it; never its content.
func (r *report) pretty(w io.Writer) {
	fmt.Fprintf(w, "ID:              %s\nName:              %s\n", r.ID, output.Printable(r.Spec.Name))
	if len(r.Spec.Labels) > 0 {
		fmt.Fprintln(w, "Labels:")
		for _, key := range slices.Sorted(maps.Keys(r.Spec.Labels)) {
			line := key
			if value := r.Spec.Labels[key]; value != "" {
				line += "=" + value
			}
			fmt.Fprintln(w, " - "+output.Printable(line))
		}
	}
	fmt.Fprintf(w, "Driver:            %s\nCreated at:        %s\nUpdated at:        %s\n", output.Printable(r.Spec.Driver.Name), r.CreatedAt, r.UpdatedAt)
}

type listOptions struct {
	filters          []string
	format           string
	noHeading, quiet bool
}

func newList(a *cli.App) *cobra.Command {
	opts := &listOptions{}
	cmd := &cobra.Command{
		Use: "ls [options]", Aliases: []string{"list"}, Short: "List secrets",
		Long: "List secrets, never their content. Filters: id, name.", Example: "  pod secret ls\n  pod secret ls --filter name=db --quiet",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), a, opts) },
	}
	fs := cmd.Flags()
	flag.Filter(fs, &opts.filters, "f")
	fs.StringVar(&opts.format, "format", "", "Format output using Go template")
	fs.BoolVarP(&opts.noHeading, "noheading", "n", false, "Do not print headers")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Print secret IDs only")
	return cmd
}

// row is a secret in the list.
type row struct{ ID, Name, Driver, CreatedAt, UpdatedAt string }

func runList(ctx context.Context, a *cli.App, opts *listOptions) error {
	store, err := open(ctx, a)
	if err != nil {
		return err
	}
	all, err := store.List(opts.filters)
	if err != nil {
		return err
	}
	rows := make([]row, 0, len(all))
	for _, s := range all {
		rows = append(rows, row{s.ID, s.Name, s.Driver, output.Ago(s.CreatedAt), output.Ago(s.UpdatedAt)})
	}
	return output.List(a.Out, rows, output.Options{
		Format: opts.format, NoHeading: opts.noHeading, Quiet: opts.quiet,
		DefaultTable: `{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}`,
		Headers:      map[string]string{"CreatedAt": "CREATED", "UpdatedAt": "UPDATED"},
	})
}

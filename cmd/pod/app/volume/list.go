package volume

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
)

// InspectVolumeData is what inspect tells; with VolumeConfigResponse it has the names
// that templates of the field know.
type InspectVolumeData = libpod.InspectVolume

// VolumeConfigResponse is all about a volume, once more.
type VolumeConfigResponse struct{ InspectVolumeData } //nolint:revive // templates of users have the name

// row is a volume in the list.
type row struct{ VolumeConfigResponse }

type listOptions struct {
	filters          []string
	format           string
	noHeading, quiet bool
}

func newList(a *cli.App) *cobra.Command {
	opts := &listOptions{}
	cmd := &cobra.Command{
		Use: "ls [options]", Aliases: []string{"list"}, Short: "List volumes",
		Long: "List volumes. Filters: after, anonymous, dangling, driver, label, name, opt, scope, since, until, unused-for; " +
			"values of one key are alternatives.",
		Example: "  pod volume ls\n  pod volume ls --filter dangling=true --quiet\n  pod volume ls --format '{{.Name}} {{.Mountpoint}}'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), a, opts) },
	}
	fs := cmd.Flags()
	flag.Filter(fs, &opts.filters, "f")
	fs.StringVar(&opts.format, "format", "", "Format volume output using JSON or a Go template")
	fs.BoolVarP(&opts.noHeading, "noheading", "n", false, "Do not print headers")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Print volume output in quiet mode")
	return cmd
}

func runList(ctx context.Context, a *cli.App, opts *listOptions) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	volumes, err := e.FilterVolumes(ctx, opts.filters)
	if err != nil {
		return err
	}
	rows := make([]row, 0, len(volumes))
	for _, v := range volumes {
		shown, err := e.ShowVolume(ctx, v)
		if err != nil {
			return err
		}
		rows = append(rows, row{VolumeConfigResponse{*shown}})
	}
	return output.List(a.Out, rows, output.Options{
		Format: opts.format, NoHeading: opts.noHeading, Quiet: opts.quiet, QuietTemplate: "{{.Name}}",
		DefaultTable: `{{.Driver}}\t{{.Name}}`, Headers: map[string]string{"Name": "VOLUME NAME"},
	})
}

func newInspect(a *cli.App) *cobra.Command {
	var all bool
	var format string
	cmd := &cobra.Command{
		Use: "inspect [options] VOLUME [VOLUME...]", Short: "Display detailed information on one or more volumes",
		Long:    "Print all about volumes as JSON, or what --format asks for.",
		Example: "  pod volume inspect data\n  pod volume inspect --all --format '{{.Name}} {{.Options}}'",
	}
	fs := cmd.Flags()
	flag.All(fs, &all, "a", "Inspect all volumes")
	fs.StringVarP(&format, "format", "f", "json", "Format volume output using Go template")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), a, all, format, args) }
	return cmd
}

func runInspect(ctx context.Context, a *cli.App, all bool, format string, names []string) error {
	if err := chosen(all, names); err != nil {
		return err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if all {
		volumes, err := e.Volumes(ctx)
		if err != nil {
			return err
		}
		for _, v := range volumes {
			names = append(names, v.Name)
		}
	}
	found := []*libpod.InspectVolume{}
	var failed cli.Many
	for _, name := range names {
		v, err := e.InspectVolume(ctx, name)
		if err != nil {
			failed = append(failed, noVolume(err))
			continue
		}
		found = append(found, v)
	}
	if len(found) > 0 || len(failed) == 0 {
		if err := output.Values(a.Out, found, format); err != nil {
			return err
		}
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

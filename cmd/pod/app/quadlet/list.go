package quadlet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/pkg/quadlet"
)

// notLoaded is the status of a file whose service systemd does not have.
const notLoaded = "Not loaded"

// row is a Quadlet file in the list.
type row struct{ Name, UnitName, Path, Status, App, Pod string }

type listOptions struct {
	filters   []string
	format    string
	noHeading bool
}

func newList(a *cli.App) *cobra.Command {
	opts := &listOptions{}
	cmd := &cobra.Command{
		Use: "list [options]", Aliases: []string{"ls"}, Short: "List Quadlet files",
		Long: "List the Quadlet files that the generators read, with their services and what systemd says of these. " +
			"Filters: name, pod, status; values of one key are alternatives.",
		Example: "  pod quadlet list\n  pod quadlet list --filter status=active/running --format '{{.UnitName}}'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), a, opts) },
	}
	fs := cmd.Flags()
	flag.Filter(fs, &opts.filters, "f")
	fs.StringVar(&opts.format, "format", "", "Format output using JSON or a Go template")
	fs.BoolVarP(&opts.noHeading, "noheading", "n", false, "Do not print headers")
	return cmd
}

func runList(ctx context.Context, a *cli.App, opts *listOptions) error {
	keep, err := filter(opts.filters)
	if err != nil {
		return err
	}
	h, err := host(a)
	if err != nil {
		return err
	}
	set, _ := quadlet.Load(h)
	states, err := states(ctx, a, set.Units)
	if err != nil {
		a.Warn("%v: no status is known", err)
	}
	home := resolved(h.InstallDir())
	rows := []row{}
	for _, u := range set.Units {
		if r := describe(home, u, states); keep(r) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.Name, b.Name) })
	return output.List(a.Out, rows, output.Options{
		Format: opts.format, NoHeading: opts.noHeading,
		DefaultTable: `{{.Name}}\t{{.UnitName}}\t{{.Path}}\t{{.Status}}\t{{.App}}\t{{.Pod}}`,
		Headers:      map[string]string{"UnitName": "UNIT NAME", "Path": "PATH ON DISK", "App": "APPLICATION"},
	})
}

// states asks systemd for the services of units.
func states(ctx context.Context, a *cli.App, units []*quadlet.Unit) (map[string]scope.State, error) {
	services := make([]string, 0, len(units))
	for _, u := range units {
		if u.Service != "" && pattern(u.Service) == u.Service {
			services = append(services, u.Service)
		}
	}
	if len(services) == 0 {
		return nil, nil
	}
	conn, err := manager(ctx, a)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return conn.States(ctx, services)
}

func describe(home string, u *quadlet.Unit, states map[string]scope.State) row {
	r := row{Name: u.Name, UnitName: u.Service, Path: u.Path, App: application(home, u.Path), Status: notLoaded}
	if s, ok := states[u.Service]; ok && s.Load == "loaded" {
		r.Status = s.Active + "/" + s.Sub
	}
	if u.File != nil && u.Ext() == ".container" {
		if v, ok := u.File.Get(u.Section(), "Pod"); ok {
			r.Pod = v.Text
		}
	}
	return r
}

// filter reads --filter: values of one key are alternatives, all keys must match.
func filter(filters []string) (func(row) bool, error) {
	matchers := map[string][]func(row) bool{}
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("invalid filter %q: filters are KEY=VALUE, with the keys name, pod and status", f)
		}
		var match func(row) bool
		switch key {
		case "name":
			match = nameMatcher(value)
		case "pod":
			match = func(r row) bool { return r.Pod == value }
		case "status":
			match = func(r row) bool { return strings.EqualFold(r.Status, value) }
		default:
			return nil, fmt.Errorf("%q is not a valid filter: name, pod and status are", key)
		}
		matchers[key] = append(matchers[key], match)
	}
	return func(r row) bool {
		for _, alternatives := range matchers {
			if !slices.ContainsFunc(alternatives, func(match func(row) bool) bool { return match(r) }) {
				return false
			}
		}
		return true
	}, nil
}

// nameMatcher takes a regular expression, as filters of names do, and what is none
// for a pattern of file names.
func nameMatcher(value string) func(row) bool {
	if re, err := regexp.Compile(value); err == nil {
		return func(r row) bool { return re.MatchString(r.Name) }
	}
	return func(r row) bool {
		matched, _ := path.Match(value, r.Name)
		return matched
	}
}

func newPrint(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "print QUADLET", Aliases: []string{"cat"}, Short: "Display the contents of a quadlet",
		Long:    "Print a Quadlet file as it is, found by its name in the directories that the generators read.",
		Example: "  pod quadlet print web.container", Args: cobra.ExactArgs(1),
		ValidArgsFunction: names(a),
		RunE:              func(_ *cobra.Command, args []string) error { return runPrint(a, args[0]) },
	}
}

func runPrint(a *cli.App, name string) error {
	if !slices.Contains(quadlet.Extensions(), filepath.Ext(name)) {
		return fmt.Errorf("%q is not a supported quadlet file type: names end with %s", filepath.Ext(name), strings.Join(quadlet.Extensions(), " "))
	}
	h, err := host(a)
	if err != nil {
		return err
	}
	set, _ := quadlet.Load(h)
	u := set.Lookup(name)
	if u == nil {
		return fmt.Errorf("could not locate quadlet %q in any supported quadlet directory: no such quadlet: `pod quadlet list` lists them", name)
	}
	if info, err := os.Stat(u.Path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("read %s: it is no regular file", u.Path)
	}
	f, err := os.Open(u.Path)
	if err != nil {
		return fmt.Errorf("read quadlet: %w", err)
	}
	_, err = io.Copy(a.Out, f)
	return errors.Join(err, f.Close())
}

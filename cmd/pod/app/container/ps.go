package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/specgen"
)

type psOptions struct {
	libpod.PsOptions
	latest, noTrunc, noHeading, pod, quiet, sync bool
	format                                       string
	watch                                        uint
}

// newList is `ps`, and `container ls` with its other names.
func newList(a *cli.App, name string) *cobra.Command {
	var opts psOptions
	cmd := &cobra.Command{
		Use: name + " [options]", Short: "List containers",
		Long:    "Lists the containers that run; with --all, --last, --latest or a filter by status the others too.",
		Example: "  pod ps\n  pod ps --all --filter label=app=web --format '{{.Names}} {{.Status}}'",
		Args:    cobra.NoArgs,
	}
	if name == "ls" {
		cmd.Aliases = []string{"list", "ps"}
	}
	fs := cmd.Flags()
	fs.BoolVarP(&opts.All, "all", "a", false, "Show all the containers, default is only running containers")
	fs.BoolVar(&opts.External, "external", false, "Show containers in storage not controlled by pod")
	fs.StringArrayVarP(&opts.Filters, "filter", "f", nil, "Filter output based on conditions given")
	fs.StringVar(&opts.format, "format", "", "Pretty-print containers to JSON or using a Go template")
	fs.IntVarP(&opts.Last, "last", "n", -1, "Print the n last created containers (all states)")
	flag.Latest(fs, &opts.latest)
	fs.BoolVar(&opts.Namespaces, "ns", false, "Display namespace information")
	fs.BoolVar(&opts.noTrunc, "no-trunc", false, "Display the extended information")
	fs.BoolVar(&opts.noHeading, "noheading", false, "Do not print headers")
	fs.BoolVarP(&opts.pod, "pod", "p", false, "Print the ID and name of the pod the containers are associated with")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Print the numeric IDs of the containers only")
	fs.BoolVarP(&opts.Size, "size", "s", false, "Display the total file sizes")
	fs.StringVar(&opts.Sort, "sort", "created", "Sort output by `choice`: command, created, id, image, names, runningfor, size, status")
	fs.BoolVar(&opts.sync, "sync", false, "Sync container state with OCI runtime")
	fs.UintVarP(&opts.watch, "watch", "w", 0, "Watch the ps output on an interval in seconds")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), a, &opts) }
	return cmd
}

func (o *psOptions) check() error {
	switch {
	case o.latest && o.Last >= 0:
		return errors.New("last and latest are mutually exclusive")
	case o.quiet && (o.Size || o.Namespaces) && o.format == "":
		return errors.New("quiet conflicts with size and namespace")
	case o.Size && o.Namespaces:
		return errors.New("size and namespace options conflict")
	case o.watch > 0 && o.latest:
		return errors.New("the watch and latest flags cannot be used together")
	}
	return nil
}

func runList(ctx context.Context, a *cli.App, opts *psOptions) error {
	if err := opts.check(); err != nil {
		return err
	}
	if opts.latest {
		opts.Last = 1
	}
	opts.Size = opts.Size || opts.Sort == "size"
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	interval := time.Duration(opts.watch) * time.Second //nolint:gosec // seconds
	if opts.watch > 0 && opts.format == "" && !opts.quiet && !opts.noHeading && view.CanLive(a.In, a.Out) {
		return live(ctx, a, interval, "", func(ctx context.Context) (view.Frame, error) {
			rows, err := psRows(ctx, e, opts)
			return psFrame(opts.columns(), rows), err
		})
	}
	for {
		if opts.watch > 0 && view.IsTerminal(a.Out) {
			fmt.Fprint(a.Out, "\x1b[2J\x1b[H") // clear, and to the first line
		}
		if err := showList(ctx, a, e, opts); err != nil || opts.watch == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(interval):
		}
	}
}

// psRows asks for the containers.
func psRows(ctx context.Context, e *libpod.Engine, opts *psOptions) ([]psRow, error) {
	if opts.sync {
		if err := e.Reconcile(ctx, false); err != nil {
			return nil, err
		}
	}
	list, err := e.Ps(ctx, opts.PsOptions)
	if err != nil {
		return nil, err
	}
	rows := make([]psRow, len(list))
	for i := range list {
		rows[i] = psRow{ListContainer: &list[i], noTrunc: opts.noTrunc}
	}
	return rows, nil
}

func showList(ctx context.Context, a *cli.App, e *libpod.Engine, opts *psOptions) error {
	rows, err := psRows(ctx, e, opts)
	if err != nil {
		return err
	}
	columns := opts.columns()
	if opts.format == "" && !opts.quiet {
		return showTable(a, columns, rows, !opts.noHeading)
	}
	headers := map[string]string{"RunningFor": "created", "User": "userns", "CIDFile": "cidfile"}
	fields := make([]string, 0, len(columns))
	for _, c := range columns {
		headers[c.field] = c.heading
		fields = append(fields, "{{."+c.field+"}}")
	}
	return output.List(a.Out, rows, output.Options{
		Format: opts.format, DefaultTable: strings.Join(fields, "\t"), NoHeading: opts.noHeading, Quiet: opts.quiet, JSONValue: jsonList(rows),
		Headers: headers,
	})
}

func jsonList(rows []psRow) []libpod.ListContainer {
	list := make([]libpod.ListContainer, len(rows))
	for i, r := range rows {
		list[i] = *r.ListContainer
	}
	return list
}

// showTable prints the table without a template: ps of a thousand containers is
// to be quick.
func showTable(a *cli.App, columns []column, rows []psRow, heading bool) error {
	var headings []string
	if heading {
		for _, c := range columns {
			headings = append(headings, c.heading)
		}
	}
	cells := make([][]string, len(rows))
	for i, row := range rows {
		cells[i] = make([]string, 0, len(columns))
		for _, c := range columns {
			cells[i] = append(cells[i], c.cell(row))
		}
	}
	return output.Rows(a.Out, headings, cells)
}

// column is a column of the table: the field of templates that it shows.
type column struct {
	field, heading string
	cell           func(psRow) string
}

// columns are those of the table without --format.
func (o *psOptions) columns() []column {
	id, names := column{"ID", "CONTAINER ID", psRow.ID}, column{"Names", "NAMES", psRow.Names}
	table := []column{
		id,
		{"Image", "IMAGE", func(r psRow) string { return r.Image }},
		{"Command", "COMMAND", psRow.Command},
		{"CreatedHuman", "CREATED", psRow.CreatedHuman},
		{"Status", "STATUS", func(r psRow) string { return r.Status }},
		{"Ports", "PORTS", psRow.Ports},
		names,
	}
	if o.Namespaces {
		table = []column{
			id, names,
			{"Pid", "PID", func(r psRow) string { return strconv.Itoa(r.Pid) }},
			{"CGROUPNS", "CGROUPNS", psRow.CGROUPNS},
			{"IPC", "IPC", psRow.IPC},
			{"MNT", "MNT", psRow.MNT},
			{"NET", "NET", psRow.NET},
			{"PIDNS", "PIDNS", psRow.PIDNS},
			{"USERNS", "USERNS", psRow.USERNS},
			{"UTS", "UTS", psRow.UTS},
		}
	}
	if o.pod {
		table = append(
			table,
			column{"Pod", "POD ID", psRow.Pod},
			column{"PodName", "PODNAME", func(r psRow) string { return r.PodName }},
		)
	}
	if o.Size {
		table = append(table, column{"Size", "SIZE", psRow.Size})
	}
	return table
}

// psRow is a container as templates see it.
type psRow struct {
	*libpod.ListContainer
	noTrunc bool
}

// ID is short unless --no-trunc.
func (r psRow) ID() string {
	if r.noTrunc {
		return r.ListContainer.ID
	}
	return output.ShortID(r.ListContainer.ID)
}

// Pod is short unless --no-trunc.
func (r psRow) Pod() string {
	if r.noTrunc {
		return r.ListContainer.Pod
	}
	return output.ShortID(r.ListContainer.Pod)
}

// ImageID is short unless --no-trunc.
func (r psRow) ImageID() string {
	if r.noTrunc {
		return r.ListContainer.ImageID
	}
	return output.ShortID(r.ListContainer.ImageID)
}

// commandWidth is what the table shows of a command.
const commandWidth = 17

// Command is the command line, cut unless --no-trunc.
func (r psRow) Command() string {
	command := strings.Join(r.ListContainer.Command, " ")
	if runes := []rune(command); !r.noTrunc && len(runes) > commandWidth {
		return string(runes[:commandWidth]) + "..."
	}
	return command
}

// CreatedAt is the moment of creation.
func (r psRow) CreatedAt() string {
	return r.Created.Format("2006-01-02 15:04:05.999999999 -0700 MST")
}

// CreatedHuman is how long ago that was.
func (r psRow) CreatedHuman() string { return r.ListContainer.CreatedAt }

// RunningFor is CreatedHuman, as docker calls it.
func (r psRow) RunningFor() string { return r.ListContainer.CreatedAt }

// Names are all names.
func (r psRow) Names() string { return strings.Join(r.ListContainer.Names, ",") }

// Networks are all networks.
func (r psRow) Networks() string { return strings.Join(r.ListContainer.Networks, ",") }

// Mounts are the destinations of all mounts.
func (r psRow) Mounts() string { return strings.Join(r.ListContainer.Mounts, ",") }

// Labels are all labels.
func (r psRow) Labels() string {
	pairs := make([]string, 0, len(r.ListContainer.Labels))
	for _, key := range slices.Sorted(maps.Keys(r.ListContainer.Labels)) {
		pairs = append(pairs, key+"="+r.ListContainer.Labels[key])
	}
	return strings.Join(pairs, ",")
}

// Label is one label.
func (r psRow) Label(name string) string { return r.ListContainer.Labels[name] }

// Size is what the container takes on disk.
func (r psRow) Size() string {
	if r.ListContainer.Size == nil {
		return ""
	}
	return fmt.Sprintf("%s (virtual %s)", units.HumanSizeWithPrecision(float64(r.ListContainer.Size.RwSize), 3),
		units.HumanSizeWithPrecision(float64(r.ListContainer.Size.RootFsSize), 3))
}

// Ports are the published ports, and the exposed ones that are not published.
func (r psRow) Ports() string { return portsText(r.ListContainer.Ports, r.ExposedPorts) }

// The namespaces of --ns.

// CGROUPNS is the cgroup namespace.
func (r psRow) CGROUPNS() string { return r.Namespaces.Cgroup }

// Cgroup is the cgroup namespace.
func (r psRow) Cgroup() string { return r.Namespaces.Cgroup }

// IPC is the IPC namespace.
func (r psRow) IPC() string { return r.Namespaces.IPC }

// MNT is the mount namespace.
func (r psRow) MNT() string { return r.Namespaces.MNT }

// NET is the network namespace.
func (r psRow) NET() string { return r.Namespaces.NET }

// PIDNS is the pid namespace.
func (r psRow) PIDNS() string { return r.Namespaces.PIDNS }

// USERNS is the user namespace.
func (r psRow) USERNS() string { return r.Namespaces.User }

// User is the user namespace.
func (r psRow) User() string { return r.Namespaces.User }

// UTS is the UTS namespace.
func (r psRow) UTS() string { return r.Namespaces.UTS }

// portsText shows ports as 0.0.0.0:8080->80/tcp, ranges joined.
func portsText(published []specgen.PortMapping, exposed map[uint16][]string) string {
	if len(published) == 0 && len(exposed) == 0 {
		return ""
	}
	var texts []string
	shown := map[string]bool{}
	for _, p := range published {
		n := max(p.Range, 1)
		for i := range n {
			shown[strconv.Itoa(int(p.ContainerPort+i))+"/"+p.Protocol] = true
		}
		inside := span(p.ContainerPort, n) + "/" + p.Protocol
		if p.HostPort == 0 { // to be chosen at the start
			texts = append(texts, inside)
			continue
		}
		texts = append(texts, hostAddress(p)+":"+span(p.HostPort, n)+"->"+inside)
	}
	for _, port := range slices.Sorted(maps.Keys(exposed)) {
		for _, protocol := range exposed[port] {
			if text := strconv.Itoa(int(port)) + "/" + protocol; !shown[text] {
				texts = append(texts, text)
			}
		}
	}
	return strings.Join(texts, ", ")
}

func span(first, n uint16) string {
	if n > 1 {
		return fmt.Sprintf("%d-%d", first, first+n-1)
	}
	return strconv.Itoa(int(first))
}

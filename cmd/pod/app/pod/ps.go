package pod

import (
	"context"
	"strconv"
	"strings"
	"time"

	units "github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
)

type psOptions struct {
	ids, names, status, latest, noTrunc, noHeading, spaces, quiet bool

	filters      []string
	format, sort string
}

func newPs(a *cli.App) *cobra.Command {
	var opts psOptions
	cmd := &cobra.Command{
		Use: "ps [options]", Aliases: []string{"ls", "list"}, Short: "List pods",
		Long:    "Lists all pods, with the number and on demand the ids, names and states of their containers.",
		Example: "  pod pod ps\n  pod pod ps --ctr-names --filter status=running\n  pod pod ps --format '{{.Name}} {{.Status}}'",
		Args:    cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.BoolVar(&opts.ids, "ctr-ids", false, "Display the container UUIDs. If no-trunc is not set they will be truncated")
	fs.BoolVar(&opts.names, "ctr-names", false, "Display the container names")
	fs.BoolVar(&opts.status, "ctr-status", false, "Display the container status")
	flag.Filter(fs, &opts.filters, "f")
	fs.StringVar(&opts.format, "format", "", "Pretty-print pods to JSON or using a Go template")
	fs.BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest pod pod is aware of")
	fs.BoolVar(&opts.noTrunc, "no-trunc", false, "Do not truncate pod and container IDs")
	fs.BoolVarP(&opts.noHeading, "noheading", "n", false, "Do not print headers")
	fs.BoolVar(&opts.spaces, "ns", false, "Display namespace information of the pod")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Print the numeric IDs of the pods only")
	fs.StringVar(&opts.sort, "sort", "created", "Sort output by created, id, name, number or status")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runPs(cmd.Context(), a, &opts) }
	return cmd
}

func runPs(ctx context.Context, a *cli.App, opts *psOptions) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	list, err := e.Pods(ctx, opts.filters)
	if err != nil {
		return err
	}
	if opts.latest && len(list) > 1 {
		list = list[len(list)-1:]
	}
	if err := libpod.SortPods(list, opts.sort); err != nil {
		return err
	}
	rows, entries := make([]psRow, len(list)), make([]psEntry, len(list))
	now := time.Now()
	for i, p := range list {
		rows[i] = psRow{PodInfo: p, full: opts.noTrunc, now: now}
		rows[i].engine = e
		entries[i] = rows[i].entry()
	}
	return output.List(a.Out, rows, output.Options{
		Format: opts.format, DefaultTable: opts.columns(), NoHeading: opts.noHeading, Quiet: opts.quiet, QuietTemplate: "{{.FullID}}",
		JSONValue: entries, Headers: map[string]string{
			"ID": "POD ID", "Id": "POD ID", "InfraID": "INFRA ID", "InfraId": "INFRA ID", "NumberOfContainers": "# OF CONTAINERS",
			"ContainerIds": "IDS", "ContainerNames": "NAMES", "ContainerStatuses": "STATUS", "Namespace": "NAMESPACES",
		},
	})
}

func (o *psOptions) columns() string {
	columns := []string{"ID", "Name", "Status", "Created", "InfraID"}
	if o.ids {
		columns = append(columns, "ContainerIds")
	}
	if o.names {
		columns = append(columns, "ContainerNames")
	}
	if o.status {
		columns = append(columns, "ContainerStatuses")
	}
	if !o.ids && !o.names && !o.status {
		columns = append(columns, "NumberOfContainers")
	}
	if o.spaces {
		columns = append(columns, "Cgroup", "Namespace")
	}
	return "{{." + strings.Join(columns, "}}\t{{.") + "}}"
}

// psEntry is a pod as JSON; its keys are the field's.
type psEntry struct {
	Cgroup     string
	Containers []psMember
	Created    time.Time
	ID         string `json:"Id"`
	InfraID    string `json:"InfraId"`
	Name       string
	Namespace  string
	Networks   []string
	Status     string
	Labels     map[string]string
}

type psMember struct {
	ID           string `json:"Id"`
	Names        string
	Status       libpod.Status
	RestartCount int
}

// psRow is a pod as templates see it.
type psRow struct {
	*libpod.PodInfo
	engine *libpod.Engine
	full   bool
	now    time.Time
}

func (r psRow) entry() psEntry {
	e := psEntry{
		Cgroup: r.PodInfo.Cgroup, Containers: []psMember{}, Created: r.PodInfo.Created, ID: r.PodInfo.ID, InfraID: r.PodInfo.InfraID,
		Name: r.Name, Networks: r.PodInfo.Networks, Status: r.Status, Labels: r.Spec.Labels,
	}
	for _, c := range r.Members {
		e.Containers = append(e.Containers, psMember{c.ID, c.Name, r.engine.Status(c), c.Restarts})
	}
	return e
}

func (r psRow) short(id string) string {
	if r.full {
		return id
	}
	return output.ShortID(id)
}

// FullID is what --quiet prints.
func (r psRow) FullID() string { return r.PodInfo.ID }

// ID is short unless --no-trunc.
func (r psRow) ID() string { return r.short(r.PodInfo.ID) }

// Id is ID, as the field calls it too.
func (r psRow) Id() string { return r.ID() } //nolint:revive // the field's name

// InfraID is the id of the infra container.
func (r psRow) InfraID() string { return r.short(r.PodInfo.InfraID) }

// InfraId is InfraID, as the field calls it too.
func (r psRow) InfraId() string { return r.InfraID() } //nolint:revive // the field's name

// Cgroup is the parent of the pod's cgroup.
func (r psRow) Cgroup() string { return r.PodInfo.Cgroup }

// Created is how long ago that was.
func (r psRow) Created() string {
	return units.HumanDuration(max(r.now.Sub(r.PodInfo.Created), 0)) + " ago"
}

// Containers are all containers.
func (r psRow) Containers() []psMember { return r.entry().Containers }

// NumberOfContainers counts them.
func (r psRow) NumberOfContainers() int { return len(r.Members) }

func (r psRow) join(text func(m psMember) string) string {
	var words []string
	for _, m := range r.entry().Containers {
		words = append(words, text(m))
	}
	return strings.Join(words, ",")
}

// ContainerIds are the ids of the containers.
func (r psRow) ContainerIds() string { //nolint:revive // the field's name
	return r.join(func(m psMember) string { return r.short(m.ID) })
}

// ContainerNames are their names.
func (r psRow) ContainerNames() string { return r.join(func(m psMember) string { return m.Names }) }

// ContainerStatuses are their states.
func (r psRow) ContainerStatuses() string {
	return r.join(func(m psMember) string { return string(m.Status) })
}

// Restarts counts what the restart policy has started again.
func (r psRow) Restarts() string {
	n := 0
	for _, c := range r.Members {
		n += c.Restarts
	}
	return strconv.Itoa(n)
}

// Labels are all labels.
func (r psRow) Labels() map[string]string { return r.Spec.Labels }

// Label is one label.
func (r psRow) Label(name string) string { return r.Spec.Labels[name] }

// Networks are the named networks of the infra container.
func (r psRow) Networks() string { return strings.Join(r.entry().Networks, ",") }

// Namespace is always empty, as in the field.
func (r psRow) Namespace() string { return "" }

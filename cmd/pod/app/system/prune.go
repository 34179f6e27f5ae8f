package system

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/build/reason"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/image/artifact"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/storage"
)

type pruneOptions struct {
	all, force, volumes, build, external, policy bool
	filters                                      []string
	// imageFilters are the filters without unused-for.
	imageFilters []string
	unusedFor    *time.Duration
}

func newPrune(a *cli.App) *cobra.Command {
	o := pruneOptions{}
	cmd := &cobra.Command{
		Use: "prune [options]", Short: "Remove unused data",
		Long: "Remove stopped containers, networks that no container is on and images without a name that nothing uses; with --all every image\n" +
			"that no container uses, with --volumes the volumes that no container uses. With --policy what [gc] of pod.toml says, and nothing else.",
		Example: "  pod system prune\n  pod system prune --all --force --volumes\n  pod system prune --all --filter unused-for=30d",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runPrune(cmd.Context(), a, o) },
	}
	fs := cmd.Flags()
	fs.BoolVarP(&o.all, "all", "a", false, "Remove all unused data")
	fs.StringArrayVar(&o.filters, "filter", nil, "Provide filter values (e.g. 'label=<key>=<value>', 'until=24h', 'unused-for=30d')")
	fs.BoolVarP(&o.force, "force", "f", false, "Do not prompt for confirmation")
	fs.BoolVar(&o.volumes, "volumes", false, "Prune volumes")
	fs.BoolVar(&o.build, "build", false, "Remove containers that builds left")
	fs.BoolVar(&o.policy, "policy", false, "Remove only what [gc] of pod.toml lets go, now, and without a question")
	fs.BoolVar(&o.external, "external", false, "Remove files in the store that no container, image or record knows")
	return cmd
}

// check refuses what does not go together.
func (o *pruneOptions) check() error {
	var err error
	if o.imageFilters, o.unusedFor, err = flag.PruneFilters(o.filters); err != nil {
		return err
	}
	others := o.all || o.volumes || o.build || len(o.filters) > 0
	if o.policy && (others || o.external) {
		return errors.New("system prune --policy cannot be combined with other options: the policy is [gc] of pod.toml")
	}
	if o.external && others {
		return errors.New("system prune --external cannot be combined with other options")
	}
	return nil
}

func runPrune(ctx context.Context, a *cli.App, o pruneOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.policy {
		return a.ApplyGC(ctx)
	}
	if !o.force {
		fmt.Fprintln(a.Out, o.warning())
		if yes, err := a.Confirmed(); err != nil || !yes {
			return err
		}
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if o.external {
		return e.PruneExternal(ctx)
	}
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	var freed int64
	var failed cli.Many
	// Containers first: they keep images and volumes in use.
	var gone []string
	if len(o.filters) == 0 { // which are about other things than pods have
		pods, err := e.PrunePods(ctx)
		if err != nil {
			failed = append(failed, err)
		}
		report(a, "Deleted Pods", pods)
	}
	containers, errs := pruneContainers(ctx, e, o)
	failed = append(failed, errs...)
	gone = make([]string, 0, len(containers))
	for _, p := range containers {
		gone, freed = append(gone, p.ID), freed+p.Size
	}
	report(a, "Deleted Containers", gone)
	networks, err := pruneNetworks(ctx, e, o)
	if err != nil {
		failed = append(failed, err)
	}
	report(a, "Deleted Networks", networks)
	if o.volumes {
		volumes, err := e.PruneVolumes(ctx, true, o.filters)
		if err != nil {
			failed = append(failed, err)
		}
		gone = nil
		for _, p := range volumes {
			gone, freed = append(gone, p.ID), freed+p.Size
		}
		report(a, "Deleted Volumes", gone)
	}
	removed, errs := images.PruneWithin(ctx, image.PruneOptions{All: o.all, Filters: o.imageFilters, UnusedFor: o.unusedFor}, e.WithReserve)
	failed = append(failed, errs...)
	artifact.New(images, a.Log).Sweep()
	gone = nil
	var untagged []string
	for _, r := range removed {
		if r.Deleted {
			gone, freed = append(gone, r.ID), freed+r.Size
		} else { // other images are built on it
			untagged = append(untagged, r.Untagged...)
		}
	}
	report(a, "Untagged Images", untagged)
	report(a, "Deleted Images", gone)
	records, err := pruneRecords(a, o.all)
	if err != nil {
		failed = append(failed, err)
	}
	freed += records
	note(a, events.Event{Type: events.System, Status: events.Prune})
	fmt.Fprintf(a.Out, "Total reclaimed space: %s\n", output.SizeShort(freed))
	if len(failed) > 0 {
		return failed
	}
	return nil
}

// oldRecord is for how long the record of a build that is not built again is kept.
const oldRecord = 7 * 24 * time.Hour

// pruneRecords removes what builds remember to say what has changed.
func pruneRecords(a *cli.App, all bool) (int64, error) {
	paths, err := storage.Locate(a.StorageOptions())
	if err != nil {
		return 0, err
	}
	if all {
		return reason.Prune(paths.Root, time.Nanosecond)
	}
	return reason.Prune(paths.Root, oldRecord)
}

// pruneNetworks removes networks that no container is on; when they were used last
// is not known.
func pruneNetworks(ctx context.Context, e *libpod.Engine, o pruneOptions) (names []string, err error) {
	if o.unusedFor != nil {
		return nil, nil
	}
	removed, err := e.PruneNetworks(ctx, o.filters)
	for i := range removed {
		e.NetworkMade(ctx, events.Remove, &removed[i])
		names = append(names, removed[i].Name)
	}
	return names, err
}

// pruneContainers removes containers at rest, and with --build those of builds.
func pruneContainers(ctx context.Context, e *libpod.Engine, o pruneOptions) ([]libpod.Pruned, []error) {
	var errs []error
	pruned, err := e.PruneContainers(ctx, o.filters)
	if err != nil {
		errs = append(errs, err)
	}
	if o.build {
		builds, err := e.PruneBuilds(ctx)
		if err != nil {
			errs = append(errs, err)
		}
		pruned = append(pruned, builds...)
	}
	return pruned, errs
}

// warning says what will be gone.
func (o *pruneOptions) warning() string {
	lines := []string{"WARNING! This command removes:"}
	if o.external {
		return lines[0] + "\n\t- files in the store that no container, image or record knows\n"
	}
	lines = append(lines, "\t- all stopped containers", "\t- all stopped pods")
	if o.unusedFor == nil {
		lines = append(lines, "\t- all networks not used by at least one container")
	}
	if o.build {
		lines = append(lines, "\t- all build containers")
	}
	if o.volumes {
		lines = append(lines, "\t- all volumes not used by at least one container")
	}
	if o.all {
		lines = append(lines, "\t- all images without at least one container associated with them")
	} else {
		lines = append(lines, "\t- all dangling images")
	}
	return strings.Join(lines, "\n") + "\n"
}

// note records what the command did; a log that cannot be written is no reason
// to fail.
func note(a *cli.App, e events.Event) {
	log, err := a.Events()
	if err == nil {
		err = log.Write(e)
	}
	if err != nil {
		a.Warn("%v", err)
	}
}

// report lists what is gone.
func report(a *cli.App, title string, list []string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(a.Out, title)
	for _, id := range list {
		fmt.Fprintln(a.Out, id)
	}
}

// Package autoupdate holds `pod auto-update`.
package autoupdate

import (
	"context"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/pkg/autoupdate"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

// Commands returns `pod auto-update`.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	return nil, []*cobra.Command{newAutoUpdate(a)}
}

type options struct {
	registry         registry.Flags
	dryRun, rollback bool
	format           string
}

func newAutoUpdate(a *cli.App) *cobra.Command {
	var opts options
	cmd := &cobra.Command{
		Use: "auto-update [options]", Short: "Update containers according to their auto-update policy",
		Long: "Updates the running containers that were made with the label io.containers.autoupdate=registry, if their registry has a newer image, or\n" +
			"=local, if another local image has the name now. The systemd unit that made the container is restarted; a container without a unit is\n" +
			"made anew. One that does not become healthy, or does not stay up, goes back to the image from before.",
		Example: "  pod auto-update --dry-run\n  pod auto-update\n  pod auto-update --authfile ~/auth.json --format json",
		Args:    cobra.NoArgs,
	}
	fs := cmd.Flags()
	opts.registry.AddAuthfile(fs)
	opts.registry.AddTLS(fs)
	fs.BoolVar(&opts.dryRun, "dry-run", false, "Check for pending updates")
	fs.StringVar(&opts.format, "format", "", "Change the output format to JSON or a Go template")
	fs.BoolVar(&opts.rollback, "rollback", true, "Rollback to previous image if update fails")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), a, &opts) }
	return cmd
}

func run(ctx context.Context, a *cli.App, opts *options) error {
	access, err := opts.registry.Access()
	if err != nil {
		return err
	}
	u, err := updater(ctx, a)
	if err != nil {
		return err
	}
	u.DryRun, u.Rollback = opts.dryRun, opts.rollback
	u.Pull = image.PullOptions{Access: access, Progress: a.Err}
	brought := false
	u.Pulled = func(id, name string) {
		brought = true
		a.Record(events.Image, events.Pull, id, name)
	}
	reports, errs := u.Run(ctx)
	if brought {
		a.CollectGarbage(ctx)
	}
	if len(reports) > 0 {
		if err := show(a, reports, opts.format); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return cli.Many(errs)
	}
	return nil
}

// updater is one that works on the parts of the App.
func updater(ctx context.Context, a *cli.App) (*autoupdate.Updater, error) {
	u := &autoupdate.Updater{
		Units: func() (autoupdate.Units, error) {
			session := a.Session()
			manager, ok := scope.Find(session.HostUID, session.RunBase)
			if !ok {
				return nil, fmt.Errorf("no systemd manager of this user answers: %w", scope.ErrNoManager)
			}
			return manager, nil
		},
		Started: func() { a.Record(events.System, events.AutoUpdate, "", "") },
		Tagged:  func(id, name string) { a.Record(events.Image, events.Tag, id, name) },
		Warn:    func(line string) { a.Warn("%s", line) },
	}
	var err error
	if u.Images, err = library.Images(ctx, a); err != nil {
		return nil, err
	}
	if u.Engine, err = a.Engine(ctx); err != nil {
		return nil, err
	}
	u.Store, err = a.Storage(ctx)
	return u, err
}

// row is a container that was looked at, with the field's keys.
type row struct {
	Unit          string
	Container     string
	ContainerName string
	ContainerID   string
	Image         string
	Policy        string
	Updated       string
}

const table = `{{.Unit}}\t{{.Container}}\t{{.Image}}\t{{.Policy}}\t{{.Updated}}`

func show(a *cli.App, reports []autoupdate.Report, format string) error {
	rows := make([]row, len(reports))
	for i := range reports {
		r := &reports[i]
		rows[i] = row{
			Unit: r.Unit, Container: fmt.Sprintf("%s (%s)", output.ShortID(r.ID), r.Name), ContainerName: r.Name, ContainerID: r.ID,
			Image: r.Image, Policy: string(r.Policy), Updated: r.Status,
		}
	}
	return output.List(a.Out, rows, output.Options{
		Format: format, DefaultTable: table, Headers: map[string]string{"ContainerName": "CONTAINER NAME", "ContainerID": "CONTAINER ID"},
	})
}

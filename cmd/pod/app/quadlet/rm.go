package quadlet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/pkg/quadlet"
	"github.com/rootless-pod/pod/pkg/quadlet/installer"
)

type rmOptions struct{ all, force, ignore, recursive, reload bool }

func newRm(a *cli.App) *cobra.Command {
	opts := &rmOptions{}
	cmd := &cobra.Command{
		Use: "rm [options] [QUADLET|APPLICATION...]", Short: "Remove Quadlets",
		Long: "Remove Quadlet files, or with --recursive applications with all their files, and have systemd forget the services. " +
			"Those that run are stopped only with --force. What the services made, such as volumes, stays.",
		Example:           "  pod quadlet rm web.container\n  pod quadlet rm --force --recursive shop\n  pod quadlet rm --all",
		ValidArgsFunction: names(a),
		RunE:              func(cmd *cobra.Command, args []string) error { return runRm(cmd.Context(), a, opts, args) },
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.all, "a", "Remove all Quadlets for the current user")
	fs.BoolVarP(&opts.force, "force", "f", false, "Remove running quadlets")
	fs.BoolVarP(&opts.ignore, "ignore", "i", false, "Do not error for Quadlets that do not exist")
	fs.BoolVar(&opts.recursive, "recursive", false, "Remove all Quadlets belonging to the specified application and its directory")
	fs.BoolVar(&opts.reload, "reload-systemd", true, "Reload systemd after removal")
	return cmd
}

// target is what goes as one: a file, or the directory of an application.
type target struct {
	name  string
	app   bool
	units []*quadlet.Unit
}

func runRm(ctx context.Context, a *cli.App, opts *rmOptions, args []string) error {
	if len(args) == 0 && !opts.all {
		return errors.New("at least one quadlet file must be selected: name one, or give --all")
	}
	h, err := host(a)
	if err != nil {
		return err
	}
	r := &remover{dir: h.InstallDir(), home: resolved(h.InstallDir()), opts: opts}
	r.set, _ = quadlet.Load(h)
	targets, err := r.targets(args)
	if err != nil {
		return err
	}
	if r.conn, err = toReload(ctx, a, opts.reload); err != nil {
		return err
	}
	if r.conn != nil {
		defer func() { _ = r.conn.Close() }()
	}
	for _, t := range targets {
		if err := r.remove(ctx, t); err != nil {
			r.failed = append(r.failed, err)
			continue
		}
		for _, u := range t.units {
			r.gone = append(r.gone, u.Name)
		}
	}
	for _, name := range r.gone {
		fmt.Fprintln(a.Out, name)
	}
	if opts.reload {
		if err := r.conn.Reload(ctx); err != nil {
			r.failed = append(r.failed, err)
		}
	}
	r.forget(ctx, targets)
	if len(r.failed) > 0 {
		return r.failed
	}
	return nil
}

// remover is one `quadlet rm`.
type remover struct {
	dir  string // of units, where the user's go
	home string // the same, resolved
	opts *rmOptions
	set  *quadlet.Set
	conn *scope.Conn // nil without systemd

	gone   []string
	failed cli.Many
}

// targets finds what is to go. An application that may not go is refused before
// anything goes.
func (r *remover) targets(args []string) ([]target, error) {
	if r.opts.all {
		args = append(args, r.own()...)
	}
	var found []target
	seen := map[string]bool{}
	for _, arg := range args {
		t := target{name: arg, app: !installer.IsUnit(arg)}
		if !t.app {
			u := r.set.Lookup(arg)
			if u == nil {
				r.absent(arg)
				continue
			}
			t.units = []*quadlet.Unit{u}
			if app := application(r.home, u.Path); app != "" {
				t = target{name: app, app: true}
			}
		}
		if seen[t.name] {
			continue
		}
		seen[t.name] = true
		if t.app {
			if t.units = r.units(t.name); len(t.units) == 0 {
				return nil, fmt.Errorf("unable to remove Quadlet: no such application %q", t.name)
			}
			if !r.opts.recursive {
				return nil, fmt.Errorf("unable to remove Quadlet: refusing to remove application %q: recursive option is not set", t.name)
			}
		}
		found = append(found, t)
	}
	slices.SortStableFunc(found, func(a, b target) int { return order(a.units[0]) - order(b.units[0]) })
	return found, nil
}

// own are the files and, if they may go, applications that the user has put himself.
func (r *remover) own() []string {
	var all []string
	dirs := []string{r.home, resolved(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "containers/systemd"))}
	for _, u := range r.set.Units {
		app := application(r.home, u.Path)
		switch {
		case app == "" && slices.Contains(dirs, filepath.Dir(u.Path)):
			all = append(all, u.Name)
		case app != "" && r.opts.recursive:
			all = append(all, app)
		}
	}
	return all
}

func (r *remover) units(app string) []*quadlet.Unit {
	var found []*quadlet.Unit
	for _, u := range r.set.Units {
		if application(r.home, u.Path) == app {
			found = append(found, u)
		}
	}
	slices.SortStableFunc(found, func(a, b *quadlet.Unit) int { return order(a) - order(b) })
	return found
}

// order has units go before those that they need.
func order(u *quadlet.Unit) int {
	switch u.Ext() {
	case ".container", ".kube":
		return 0
	case ".pod":
		return 1
	}
	return 2
}

func (r *remover) absent(name string) {
	if r.opts.ignore {
		r.gone = append(r.gone, name)
		return
	}
	r.failed = append(r.failed, fmt.Errorf("unable to remove Quadlet %s: no such quadlet", name))
}

// remove stops the services of a target, if it may, and takes its files away.
func (r *remover) remove(ctx context.Context, t target) error {
	running, err := r.running(ctx, t)
	if err != nil {
		return fmt.Errorf("unable to remove Quadlet %s: %w", t.name, err)
	}
	if len(running) > 0 && !r.opts.force {
		return fmt.Errorf("unable to remove Quadlet %s: quadlet %s is running and force is not set, refusing to remove: --force stops %s",
			t.name, running[0].unit.Name, strings.Join(services(running), ", "))
	}
	for _, s := range running {
		if err := r.conn.StopSlow(ctx, s.service); err != nil && !errors.Is(err, scope.ErrGone) {
			return fmt.Errorf("unable to remove Quadlet %s: %w", t.name, err)
		}
	}
	if err := r.unlink(ctx, t); err != nil {
		return fmt.Errorf("unable to remove Quadlet %s: %w", t.name, err)
	}
	return nil
}

// service is a unit of systemd that a Quadlet file is the reason for.
type service struct {
	unit    *quadlet.Unit
	service string
}

func services(all []service) []string {
	var names []string
	for _, s := range all {
		names = append(names, s.service)
	}
	return names
}

// running are the services of a target that run, instances of templates too, those
// that need others first.
func (r *remover) running(ctx context.Context, t target) ([]service, error) {
	if r.conn == nil {
		return nil, nil
	}
	var all []service
	for _, u := range t.units {
		if u.Service == "" {
			continue
		}
		states, err := r.conn.StatesLike(ctx, []string{pattern(u.Service)})
		if err != nil {
			return nil, err
		}
		for name, state := range states {
			if state.Runs() {
				all = append(all, service{u, name})
			}
		}
	}
	return all, nil
}

// unlink takes the files away: through the unit directory, or where else they are.
func (r *remover) unlink(ctx context.Context, t target) (err error) {
	name := t.name
	if !t.app {
		path := t.units[0].Path
		if filepath.Dir(path) != r.home {
			return os.Remove(path)
		}
		name = filepath.Base(path)
	}
	d, err := installer.Open(ctx, r.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Remove(ctx, []string{name})
}

// forget has systemd show no failures of services that are gone.
func (r *remover) forget(ctx context.Context, targets []target) {
	if r.conn == nil {
		return
	}
	for _, t := range targets {
		for _, u := range t.units {
			if u.Service != "" && slices.Contains(r.gone, u.Name) {
				_ = r.conn.Forget(ctx, u.Service) // it had not failed, or is unknown by now
			}
		}
	}
}

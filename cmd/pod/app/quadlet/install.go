package quadlet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/pkg/quadlet/installer"
)

// patience bounds what a server takes to answer.
const patience = time.Minute

type installOptions struct {
	application     string
	reload, replace bool
}

func newInstall(a *cli.App) *cobra.Command {
	opts := &installOptions{}
	cmd := &cobra.Command{
		Use: "install [options] QUADLET-PATH-OR-URL [FILES-PATH-OR-URL...]", Short: "Install a quadlet file or quadlet application",
		Long: "Install Quadlet files where systemd's generators find them, and have systemd read them. All files come, or none: a file that makes no service is refused before anything is written.\n" +
			"The first argument may be a directory, whose files are an application then; a file NAME.quadlets holds several, between lines of ---, each with a comment # FileName=NAME.",
		Example: "  pod quadlet install web.container\n  pod quadlet install --application shop ./shop\n  pod quadlet install --replace https://example.org/web.container",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("must provide at least one argument: a Quadlet file, a directory of them, or an address")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runInstall(cmd.Context(), a, opts, args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&opts.application, "application", "", "Group quadlets and associated files in a directory named after the application")
	fs.BoolVar(&opts.reload, "reload-systemd", true, "Reload systemd after installing Quadlets")
	fs.BoolVarP(&opts.replace, "replace", "r", false, "Replace the installation even if the quadlet already exists")
	return cmd
}

func runInstall(ctx context.Context, a *cli.App, opts *installOptions, sources []string) error {
	h, err := host(a)
	if err != nil {
		return err
	}
	if opts.application != "" {
		if err := installer.CheckApplication(opts.application); err != nil {
			return err
		}
	}
	g := &installer.Gatherer{Application: opts.application, Client: &http.Client{Timeout: patience}}
	files, failed := g.Gather(ctx, sources)
	if len(failed) > 0 {
		return cli.Many(failed)
	}
	checked := installer.Check(h, files)
	for _, w := range checked.Warnings {
		a.Warn("%v", w)
	}
	if len(checked.Failed) > 0 {
		return cli.Many(checked.Failed)
	}
	conn, err := toReload(ctx, a, opts.reload)
	if err != nil {
		return err
	}
	if conn != nil {
		defer func() { _ = conn.Close() }()
	}
	paths, err := place(ctx, h.InstallDir(), files, opts.replace)
	if err != nil {
		return err
	}
	for _, path := range paths {
		fmt.Fprintln(a.Out, path)
	}
	if !opts.reload {
		return nil
	}
	if err := conn.Reload(ctx); err != nil {
		return err
	}
	return known(ctx, a, conn, checked.Services)
}

// known warns of services that systemd has not: then no generator has made them.
func known(ctx context.Context, a *cli.App, conn *scope.Conn, services []string) error {
	states, err := conn.States(ctx, services)
	if err != nil {
		return err
	}
	for _, service := range services {
		if states[service].Load == "not-found" {
			a.Warn("systemd has no %s after it was reloaded: `make install` and the package put pod's generator where it looks, below lib/systemd", service)
			break
		}
	}
	return nil
}

// place puts the files into the unit directory.
func place(ctx context.Context, dir string, files []installer.File, replace bool) (paths []string, err error) {
	d, err := installer.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if failed := d.Conflicts(files, replace); len(failed) > 0 {
		return nil, cli.Many(failed)
	}
	return d.Install(ctx, files)
}

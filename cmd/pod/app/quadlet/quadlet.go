// Package quadlet holds the commands on Quadlet files: what systemd's generators make
// services of.
package quadlet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/internal/self"
	"github.com/rootless-pod/pod/pkg/quadlet"
	"github.com/rootless-pod/pod/pkg/rootless"
)

const groupVerb = "quadlet"

// Commands returns `pod quadlet …`; there are no top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: groupVerb, Short: "Manage Quadlet files",
		Long: "Install, list, print and remove Quadlet files, which describe containers, pods, networks, volumes and images as services of systemd.\n" +
			"As a user they are those of the user's systemd, as root those of the system.",
		Example: "  pod quadlet install web.container\n  systemctl --user start web\n  pod quadlet list",
		Args:    cobra.NoArgs,
		RunE:    cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{"install": newInstall, "list": newList, "print": newPrint, "rm": newRm}), nil
}

// HostView says whether a command is one of ours: they work on the user's files and
// ask his systemd, outside pod's namespaces.
func HostView(cmd *cobra.Command) bool {
	parent := cmd.Parent()
	return parent != nil && parent.Name() == groupVerb
}

// host is for whom units are.
func host(a *cli.App) (quadlet.Host, error) {
	program, err := self.Path()
	if err != nil {
		return quadlet.Host{}, err
	}
	h := quadlet.Host{User: a.HostUID() != 0, UID: a.HostUID(), Getenv: os.Getenv, Program: program}
	if h.User && !filepath.IsAbs(os.Getenv("HOME")) && !filepath.IsAbs(os.Getenv("XDG_CONFIG_HOME")) {
		return h, errors.New("neither HOME nor XDG_CONFIG_HOME says where units are")
	}
	return h, nil
}

// manager connects to the systemd that the units are for.
func manager(ctx context.Context, a *cli.App) (*scope.Conn, error) {
	base, err := rootless.RunBase(a.HostUID())
	if err != nil {
		return nil, err
	}
	m, ok := scope.Find(a.HostUID(), base)
	if !ok {
		return nil, fmt.Errorf("connecting to systemd: %w at %s", scope.ErrNoManager, base)
	}
	return m.Connect(ctx)
}

// toReload connects to systemd if it is to be told of what changes, before it does.
func toReload(ctx context.Context, a *cli.App, reload bool) (*scope.Conn, error) {
	conn, err := manager(ctx, a)
	if err == nil || !reload {
		return conn, nil
	}
	return nil, fmt.Errorf("%w: --reload-systemd=false changes files only", err)
}

// resolved is a directory as the paths of the files in it name it.
func resolved(dir string) string {
	if path, err := filepath.EvalSymlinks(dir); err == nil {
		return path
	}
	return dir
}

// application is the directory below the resolved unit directory that a file is in, if
// any.
func application(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	app, _, below := strings.Cut(rel, "/")
	if !below {
		return ""
	}
	return app
}

// pattern matches the units of a service: itself, or the instances of a template.
func pattern(service string) string {
	if prefix, ok := strings.CutSuffix(service, "@.service"); ok {
		return prefix + "@*.service"
	}
	return service
}

// names completes the names of Quadlet files.
func names(a *cli.App) cobra.CompletionFunc {
	return cli.NamesOf(a, groupVerb, "list", "--noheading", "--format", "{{.Name}}")
}

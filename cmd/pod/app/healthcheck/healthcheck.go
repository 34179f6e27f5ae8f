// Package healthcheck holds the commands on the health checks of containers.
package healthcheck

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

// Commands returns `pod healthcheck …`.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "healthcheck", Short: "Manage health checks on containers", Long: "Manage health checks on containers",
		Example: "  pod healthcheck run web", Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
		"run": newRun,
	}), nil
}

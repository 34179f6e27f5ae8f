// Package system holds the commands on pod itself and its store: info,
// events, disk usage, clean-up, and the way into its namespaces.
package system

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

// Commands returns `pod system …` and the top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "system", Short: "Manage pod", Long: "Manage pod: what it stores, what happened, where it runs.",
		Example: "  pod system df\n  pod system prune",
		Args:    cobra.NoArgs,
		RunE:    cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
			"check": newCheck, "df": newDf, "events": newEvents, "info": newInfo, "migrate": newMigrate, "prune": newPrune, "renumber": newRenumber,
			"reset": newReset,
		}), a.Top(cli.Verbs{
			"doctor": newDoctor, "events": newEvents, "info": newInfo, "unshare": newUnshare,
		})
}

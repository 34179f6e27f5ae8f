// Package network holds the commands on networks.
package network

import (
	"errors"

	"github.com/spf13/cobra"
	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

// Commands returns `pod network …`; there are no top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "network", Short: "Manage networks",
		Long: "Make networks that containers reach each other on, by name, and connect containers to them. They are the same\n" +
			"networks that podman has.",
		Example: "  pod network create web\n  pod run -d --network web --name db IMAGE\n  pod network ls",
		Args:    cobra.NoArgs,
		RunE:    cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
		"connect": newConnect, "create": newCreate, "disconnect": newDisconnect, "exists": newExists, "impair": newImpair, "inspect": newInspect,
		"ls": newList, "prune": newPrune, "reload": newReload, "rm": newRm, "update": newUpdate,
	}), nil
}

func absent(err error) bool { return errors.Is(err, types.ErrNoSuchNetwork) }

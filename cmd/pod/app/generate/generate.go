// Package generate holds the commands that describe containers to other tools.
package generate

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

// Commands returns `pod generate …`, which has no top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "generate", Short: "Generate structured data based on containers, pods or volumes",
		Long:    "Describe containers to other tools.",
		Example: "  pod generate spec web\n  pod generate systemd --new --name web", Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
		"spec": newSpec, "systemd": newSystemd,
	}), nil
}

package container

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

// newPolicyRestart is what the timer of a restart policy runs.
func newPolicyRestart(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: libpod.RestartVerb + " CONTAINER", Short: "Start a container again as its restart policy asks", Hidden: true,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			return e.RestartByPolicy(cmd.Context(), args[0])
		},
	}
}

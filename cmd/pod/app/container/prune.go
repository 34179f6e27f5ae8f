package container

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
)

func newPrune(a *cli.App) *cobra.Command {
	var filters []string
	var force bool
	cmd := &cobra.Command{
		Use: "prune [options]", Short: "Remove all non running containers", Long: "Removes all containers that do not run, after asking.",
		Example: "  pod container prune --force", Args: cobra.NoArgs,
	}
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "Provide filter values (e.g. 'label=<key>=<value>')")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Do not prompt for confirmation.  The default is false")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !force {
			fmt.Fprintln(a.Out, "WARNING! This will remove all non running containers.")
			if yes, err := a.Confirmed(); err != nil || !yes {
				return err
			}
		}
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		pruned, err := e.PruneContainers(cmd.Context(), filters)
		for _, p := range pruned {
			fmt.Fprintln(a.Out, p.ID)
		}
		return err
	}
	return cmd
}

package container

import (
	"bufio"
	"fmt"
	"strings"

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
			fmt.Fprint(a.Out, "Are you sure you want to continue? [y/N] ")
			answer, _ := bufio.NewReader(a.In).ReadString('\n')
			if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "y") {
				return nil
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

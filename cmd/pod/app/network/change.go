package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod"
)

// codeInUse is the field's exit code of rm for a network that is in use, and
// codeMissing for one that is not there.
const (
	codeMissing = 1
	codeInUse   = 2
)

func newRm(a *cli.App) *cobra.Command {
	var force bool
	var seconds int
	cmd := &cobra.Command{
		Use: "rm [options] NETWORK [NETWORK...]", Aliases: []string{"remove"}, Short: "Remove networks",
		Long:    "Remove networks that no container is on. With --force the containers are removed first.",
		Example: "  pod network rm web\n  pod network rm --force web back", Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "remove any containers using network")
	cmd.Flags().IntVarP(&seconds, "time", "t", 10, "Seconds to wait for running containers to stop before killing the container")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var timeout *uint
		if cmd.Flags().Changed("time") {
			if !force {
				return errors.New("--force option must be specified to use the --time option")
			}
			if seconds >= 0 {
				t := uint(seconds)
				timeout = &t
			}
		}
		return runRm(cmd.Context(), a, args, force, timeout)
	}
	return cmd
}

func runRm(ctx context.Context, a *cli.App, names []string, force bool, timeout *uint) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	var failed cli.Many
	code := 0
	for _, name := range names {
		n, err := e.RemoveNetwork(ctx, name, force, timeout)
		var used *libpod.NetworkInUseError
		switch {
		case err == nil:
			e.NetworkMade(ctx, events.Remove, n)
			fmt.Fprintln(a.Out, n.Name)
			continue
		case absent(err) && force:
			continue
		case absent(err):
			code = max(code, codeMissing)
		case errors.As(err, &used) && code <= codeInUse:
			code = codeInUse
		default:
			code = cli.CodeFailure
		}
		failed = append(failed, err)
	}
	if len(failed) > 0 {
		return &cli.Exit{Code: code, Err: failed}
	}
	return nil
}

func newPrune(a *cli.App) *cobra.Command {
	var filters []string
	var force bool
	cmd := &cobra.Command{
		Use: "prune [options]", Short: "Prune unused networks", Long: "Remove all networks that no container is on, after asking.",
		Example: "  pod network prune --force", Args: cobra.NoArgs,
	}
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "Provide filter values (e.g. 'label=<key>=<value>')")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not prompt for confirmation")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !force {
			fmt.Fprintln(a.Out, "WARNING! This will remove all networks not used by at least one container.")
			if yes, err := a.Confirmed(); err != nil || !yes {
				return err
			}
		}
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		removed, err := e.PruneNetworks(cmd.Context(), filters)
		for _, n := range removed {
			e.NetworkMade(cmd.Context(), events.Remove, &n)
			fmt.Fprintln(a.Out, n.Name)
		}
		return err
	}
	return cmd
}

func newUpdate(a *cli.App) *cobra.Command {
	var add, drop []string
	cmd := &cobra.Command{
		Use: "update [options] NETWORK", Short: "Update an existing network",
		Long:    "Change the name servers of a network, also for the containers that are on it now.",
		Example: "  pod network update --dns-add 10.0.0.53 web", Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringSliceVar(&add, "dns-add", nil, "add network level nameservers")
	cmd.Flags().StringSliceVar(&drop, "dns-drop", nil, "remove network level nameservers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		if err := e.UpdateNetwork(cmd.Context(), args[0], add, drop); err != nil {
			return err
		}
		fmt.Fprintln(a.Out, args[0])
		return nil
	}
	return cmd
}

func newReload(a *cli.App) *cobra.Command {
	var all, latest bool
	cmd := &cobra.Command{
		Use: "reload [options] [CONTAINER...]", Short: "Reload firewall rules for one or more containers",
		Long: "Take running containers off their networks and put them on again, with the same addresses: rules that somebody\n" +
			"has removed are there again.",
		Example: "  pod network reload db\n  pod network reload --all",
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "Reload network configuration of all containers")
	flag.Latest(cmd.Flags(), &latest)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runReload(cmd.Context(), a, args, all, latest)
	}
	return cmd
}

func runReload(ctx context.Context, a *cli.App, names []string, all, latest bool) error {
	switch {
	case all && latest, (all || latest) && len(names) > 0:
		return errors.New("give --all, --latest or names of containers, one of these")
	case !all && !latest && len(names) == 0:
		return errors.New("you must provide at least one name or id")
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if latest {
		c, err := e.Latest(ctx)
		if err != nil {
			return err
		}
		names = []string{c.ID}
	}
	if all {
		if names, err = e.Bridged(ctx); err != nil {
			return err
		}
	}
	var failed cli.Many
	for _, name := range names {
		c, err := e.ReloadNetwork(ctx, name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintln(a.Out, c.ID)
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

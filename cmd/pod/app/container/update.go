package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func newUpdate(a *cli.App) *cobra.Command {
	var change specgen.Update
	cmd := &cobra.Command{
		Use: "update [options] CONTAINER", Short: "Update an existing container",
		Long: "Changes the limits of a container, at once if it runs, and its restart policy and health check. " +
			"Its environment and ulimits change with its next start. Either all is changed or nothing.",
		Example: "  pod update --memory 512m --cpus 2 web\n  pod update --restart always web",
	}
	opts := flag.Update(cmd.Flags(), &change)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runUpdate(cmd.Context(), a, opts, &change, args)
	}
	return cmd
}

func runUpdate(ctx context.Context, a *cli.App, opts *flag.UpdateOptions, change *specgen.Update, args []string) error {
	if len(args) > 1 || (len(args) == 0) != opts.Latest {
		return errors.New("requires a container: name one, or say --latest")
	}
	if err := opts.Finish(change, flag.ThisHost()); err != nil {
		return err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	name := ""
	if opts.Latest {
		latest, err := e.Latest(ctx)
		if err != nil {
			return err
		}
		name = latest.ID
	} else {
		name = args[0]
	}
	c, err := e.Update(ctx, name, change)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Out, c.ID)
	return nil
}

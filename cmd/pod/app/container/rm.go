package container

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

type rmOptions struct {
	selection
	libpod.RemoveOptions
	depend bool
}

func newRm(a *cli.App) *cobra.Command {
	var opts rmOptions
	cmd := &cobra.Command{
		Use: "rm [options] CONTAINER [CONTAINER...]", Short: "Remove one or more containers",
		Long:    "Removes containers with what they wrote. With --force those that run are stopped first.",
		Example: "  pod rm web\n  pod rm --all --force",
	}
	fs := cmd.Flags()
	opts.endFlags(fs, "Remove", true)
	fs.BoolVar(&opts.depend, "depend", false, "Remove container and all containers that depend on the selected container")
	fs.BoolVarP(&opts.Force, "force", "f", false, "Force removal of a running or unusable container")
	fs.BoolVarP(&opts.ignore, "ignore", "i", false, "Ignore errors when a specified container is missing")
	fs.BoolVarP(&opts.Volumes, "volumes", "v", false, "Remove anonymous volumes associated with the container")
	timeout := timeFlag(fs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.Timeout = timeout()
		if opts.Timeout != nil && !opts.Force {
			return fmt.Errorf("--force option must be specified to use the --time option")
		}
		return runRm(cmd.Context(), a, &opts, args)
	}
	return cmd
}

func runRm(ctx context.Context, a *cli.App, opts *rmOptions, args []string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if opts.all || len(opts.filters) > 0 {
		if err := e.Reconcile(ctx, opts.Force); err != nil {
			return err
		}
	}
	if opts.Force {
		opts.ignore = true // as in the field: rm -f of what is not there is done
	}
	names, err := opts.names(ctx, e, args, nil)
	if err != nil {
		return err
	}
	if names, err = e.RemovalOrder(ctx, names); err != nil {
		return err
	}
	remove := e.Remove
	if opts.all {
		remove = e.RemoveWithPod // there is no other way to remove all
	}
	missing := 0
	err = many(a, names, func(name string) (string, error) {
		if opts.depend {
			if err := e.RemoveDependents(ctx, name, opts.RemoveOptions); err != nil {
				return "", err
			}
		}
		_, err := remove(ctx, name, opts.RemoveOptions)
		if absent(err) {
			if opts.ignore || opts.all {
				return "", nil
			}
			missing++
		}
		return name, err
	})
	failed, _ := err.(cli.Many) //nolint:errorlint // many returns it unwrapped
	err = cli.DropIDFiles("container id file", opts.cidfiles, func(content string) bool {
		id, _, _ := strings.Cut(content, "\n")
		_, err := e.Lookup(ctx, id)
		return id != "" && !absent(err)
	})
	if err != nil {
		failed = append(failed, err)
	}
	if len(failed) > 0 && missing == len(failed) {
		return &cli.Exit{Code: 1, Err: failed}
	}
	if len(failed) > 0 {
		return &cli.Exit{Code: cli.Code(failed[0]), Err: failed}
	}
	return nil
}

package container

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
)

type startOptions struct {
	selection
	attach, interactive, sigProxy bool
	detachKeys                    string
}

func newStart(a *cli.App) *cobra.Command {
	var opts startOptions
	cmd := &cobra.Command{
		Use: "start [options] CONTAINER [CONTAINER...]", Short: "Start one or more containers",
		Long:    "Starts containers that were created or have stopped. With --attach the container's output and exit code become pod's.",
		Example: "  pod start web\n  pod start --attach job",
	}
	fs := cmd.Flags()
	fs.BoolVar(&opts.all, "all", false, "Start all containers regardless of their state or configuration")
	fs.BoolVarP(&opts.attach, "attach", "a", false, "Attach container's STDOUT and STDERR")
	fs.StringVar(&opts.detachKeys, "detach-keys", "ctrl-p,ctrl-q", "Select the key sequence for detaching a container")
	fs.StringArrayVarP(&opts.filters, "filter", "f", nil, "Filter output based on conditions given")
	fs.BoolVarP(&opts.interactive, "interactive", "i", false, "Make STDIN available to the contained process")
	fs.BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest container")
	fs.BoolVar(&opts.sigProxy, "sig-proxy", false, "Proxy received signals to the process (default true if attaching, false otherwise)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if opts.attach && !cmd.Flags().Changed("sig-proxy") {
			opts.sigProxy = true
		}
		return runStart(cmd.Context(), a, &opts, args)
	}
	return cmd
}

func runStart(ctx context.Context, a *cli.App, opts *startOptions, args []string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if opts.sigProxy && !opts.attach {
		return errors.New("you cannot use sig-proxy without --attach: invalid argument")
	}
	names, err := opts.names(ctx, e, args, func(s libpod.Status) bool {
		return s == libpod.StatusCreated || s == libpod.StatusExited || s == libpod.StatusInitialized
	})
	if err != nil {
		return err
	}
	if !opts.attach && !opts.interactive {
		return many(a, names, func(name string) (string, error) {
			_, err := e.Start(ctx, name)
			return name, err
		})
	}
	if len(names) != 1 {
		return errors.New("you cannot start and attach multiple containers at once")
	}
	streams := attach.Streams{Out: a.Out, Err: a.Err}
	if opts.interactive {
		streams.In = a.In
	}
	out, err := e.StartAttached(ctx, names[0], &libpod.AttachOptions{
		Streams: streams, DetachKeys: opts.detachKeys, SigProxy: opts.sigProxy,
	})
	if err != nil {
		return err
	}
	return exitWith(out)
}

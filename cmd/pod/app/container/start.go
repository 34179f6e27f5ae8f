package container

import (
	"context"
	"errors"
	"fmt"

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
		return s == libpod.StatusCreated || s == libpod.StatusExited
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

func newInit(a *cli.App) *cobra.Command {
	var opts selection
	cmd := &cobra.Command{
		Use: "init [options] CONTAINER [CONTAINER...]", Short: "Initialize one or more containers",
		Long: "Makes everything a container needs, mounts and network included, without starting its process.", Example: "  pod init web",
	}
	cmd.Flags().BoolVarP(&opts.all, "all", "a", false, "Initialize all containers")
	cmd.Flags().BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest container")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		names, err := opts.names(cmd.Context(), e, args, func(s libpod.Status) bool {
			return s == libpod.StatusCreated || s == libpod.StatusExited
		})
		if err != nil {
			return err
		}
		return many(a, names, func(name string) (string, error) { return name, e.Init(cmd.Context(), name) })
	}
	return cmd
}

func newAttach(a *cli.App) *cobra.Command {
	var latest, noStdin, sigProxy bool
	var keys string
	cmd := &cobra.Command{
		Use: "attach [options] CONTAINER", Short: "Attach to a running container",
		Long:    "Connects this terminal's input and output to a running container. The detach keys leave it running.",
		Example: "  pod attach web\n  pod attach --detach-keys ctrl-x web", Args: cobra.MaximumNArgs(1),
	}
	fs := cmd.Flags()
	fs.StringVar(&keys, "detach-keys", "ctrl-p,ctrl-q", "Select the key sequence for detaching a container")
	fs.BoolVarP(&latest, "latest", "l", false, "Act on the latest container")
	fs.BoolVar(&noStdin, "no-stdin", false, "Do not attach STDIN. The default is false")
	fs.BoolVar(&sigProxy, "sig-proxy", true, "Proxy received signals to the process")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		names, err := (&selection{latest: latest}).names(cmd.Context(), e, args, nil)
		if err != nil {
			return err
		}
		streams := attach.Streams{In: a.In, Out: a.Out, Err: a.Err}
		if noStdin {
			streams.In = nil
		}
		out, err := e.Attach(cmd.Context(), names[0], &libpod.AttachOptions{Streams: streams, DetachKeys: keys, SigProxy: sigProxy})
		if err != nil {
			return err
		}
		return exitWith(out)
	}
	return cmd
}

func newRename(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "rename CONTAINER NAME", Short: "Rename an existing container",
		Long: "Gives a container another name.", Example: "  pod rename web web-old", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			return e.Rename(cmd.Context(), args[0], args[1])
		},
	}
}

func newExists(a *cli.App) *cobra.Command {
	var external bool
	cmd := &cobra.Command{
		Use: "exists [options] CONTAINER", Short: "Check if a container exists",
		Long:    "Exits with 0 if the container exists, with 1 if it does not.",
		Example: "  pod container exists web && echo yes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			_, err = e.Lookup(cmd.Context(), args[0])
			if absent(err) && external {
				found, err := e.External(cmd.Context(), args[0])
				if err != nil || found {
					return err
				}
				return &cli.Exit{Code: 1}
			}
			if absent(err) {
				return &cli.Exit{Code: 1}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&external, "external", false, "Check external storage containers as well as pod containers")
	return cmd
}

func newCleanup(a *cli.App) *cobra.Command {
	var all, latest, remove, rmi bool
	var exec string
	var ids selection
	cmd := &cobra.Command{
		Use: "cleanup [options] CONTAINER [CONTAINER...]", Short: "Clean up network and mountpoints of one or more containers",
		Long:    "Does what is left to do after a container has ended. pod calls it by itself; by hand it is needed only to help after somebody killed processes.",
		Example: "  pod container cleanup --all",
	}
	fs := cmd.Flags()
	fs.BoolVarP(&all, "all", "a", false, "Cleans up all containers")
	fs.BoolVarP(&latest, "latest", "l", false, "Act on the latest container")
	fs.StringVar(&exec, "exec", "", "Clean up the given exec session instead of the container")
	fs.BoolVar(&remove, "rm", false, "After cleanup, remove the container entirely")
	fs.BoolVar(&rmi, "rmi", false, "After cleanup, remove the image entirely")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		e, err := a.Engine(ctx)
		if err != nil {
			return err
		}
		if rmi {
			return fmt.Errorf("--rmi is not supported yet")
		}
		if exec != "" {
			return e.CleanupExec(ctx, exec)
		}
		ids.all, ids.latest = all, latest
		names, err := ids.names(ctx, e, args, nil)
		if err != nil {
			return err
		}
		return many(a, names, func(name string) (string, error) {
			if err := e.Cleanup(ctx, name); err != nil || !remove {
				return "", err
			}
			_, err := e.Remove(ctx, name, libpod.RemoveOptions{Volumes: true})
			return "", err
		})
	}
	return cmd
}

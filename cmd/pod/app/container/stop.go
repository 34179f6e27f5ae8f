package container

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// endFlags are the flags that stop, restart, kill and rm share.
func (s *selection) endFlags(fs *pflag.FlagSet, verb string, filters bool) {
	fs.BoolVarP(&s.all, "all", "a", false, verb+" all containers")
	fs.BoolVarP(&s.latest, "latest", "l", false, "Act on the latest container")
	fs.StringArrayVar(&s.cidfiles, "cidfile", nil, "Read the container ID from the file")
	if filters {
		short := "f"
		if fs.ShorthandLookup("f") != nil || verb == "Remove" {
			short = ""
		}
		fs.StringArrayVarP(&s.filters, "filter", short, nil, "Filter output based on conditions given")
	}
}

// timeFlag binds -t; nil means that it was not given. Negative is for ever.
func timeFlag(fs *pflag.FlagSet) func() *uint {
	seconds := fs.IntP("time", "t", 10, "Seconds to wait for the container to stop before killing it")
	return func() *uint {
		if !fs.Changed("time") {
			return nil
		}
		if *seconds < 0 {
			forever := uint(1) << 31
			return &forever
		}
		given := uint(*seconds)
		return &given
	}
}

func isUp(s libpod.Status) bool {
	switch s {
	case libpod.StatusRunning, libpod.StatusPaused, libpod.StatusStopping, libpod.StatusInitialized:
		return true
	}
	return false
}

func newStop(a *cli.App) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use: "stop [options] CONTAINER [CONTAINER...]", Short: "Stop one or more containers",
		Long:    "Sends the stop signal (SIGTERM, or what the image or --stop-signal says), and SIGKILL when the timeout has run out.",
		Example: "  pod stop web\n  pod stop --time 2 --all",
	}
	sel.endFlags(cmd.Flags(), "Stop", true)
	cmd.Flags().BoolVarP(&sel.ignore, "ignore", "i", false, "Ignore errors when a specified container is missing")
	timeout := timeFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return sel.each(cmd.Context(), a, args, isUp, func(ctx context.Context, e *libpod.Engine, name string) error {
			_, err := e.Stop(ctx, name, timeout())
			return err
		})
	}
	return cmd
}

// each runs work on every selected container and prints what the user called
// it.
func (s *selection) each(ctx context.Context, a *cli.App, args []string, usable func(libpod.Status) bool,
	work func(ctx context.Context, e *libpod.Engine, name string) error,
) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	names, err := s.names(ctx, e, args, usable)
	if err != nil {
		return err
	}
	return many(a, names, func(name string) (string, error) {
		err := work(ctx, e, name)
		if s.ignore && absent(err) {
			return "", nil
		}
		return name, err
	})
}

func newRestart(a *cli.App) *cobra.Command {
	var sel selection
	var running bool
	cmd := &cobra.Command{
		Use: "restart [options] CONTAINER [CONTAINER...]", Short: "Restart one or more containers",
		Long: "Stops containers that run, and starts them all.", Example: "  pod restart web",
	}
	sel.endFlags(cmd.Flags(), "Restart", true)
	cmd.Flags().BoolVar(&running, "running", false, "Restart only running containers")
	timeout := timeFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var usable func(libpod.Status) bool
		if running {
			usable = isUp
			sel.all = len(args) == 0
		}
		return sel.each(cmd.Context(), a, args, usable, func(ctx context.Context, e *libpod.Engine, name string) error {
			_, err := e.Restart(ctx, name, timeout())
			return err
		})
	}
	return cmd
}

func newKill(a *cli.App) *cobra.Command {
	var sel selection
	var signal string
	cmd := &cobra.Command{
		Use: "kill [options] CONTAINER [CONTAINER...]", Short: "Kill one or more running containers with a specific signal",
		Long: "Sends a signal, SIGKILL if none is named, to the first process of each container.", Example: "  pod kill --signal HUP web",
	}
	sel.endFlags(cmd.Flags(), "Signal", false)
	cmd.Flags().StringVarP(&signal, "signal", "s", "KILL", "Signal to send to the container")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		sig, err := specgen.ParseSignal(signal)
		if err != nil {
			return err
		}
		return sel.each(cmd.Context(), a, args, isUp, func(ctx context.Context, e *libpod.Engine, name string) error {
			_, err := e.Kill(ctx, name, sig)
			return err
		})
	}
	return cmd
}

func newPause(a *cli.App) *cobra.Command {
	return pauseCommand(a, true, "pause", "Pause all the processes in one or more containers", libpod.StatusRunning)
}

func newUnpause(a *cli.App) *cobra.Command {
	return pauseCommand(a, false, "unpause", "Unpause the processes in one or more containers", libpod.StatusPaused)
}

func pauseCommand(a *cli.App, pause bool, verb, about string, when libpod.Status) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use: verb + " [options] CONTAINER [CONTAINER...]", Short: about,
		Long: about + ", by the cgroup freezer.", Example: "  pod " + verb + " web",
	}
	sel.endFlags(cmd.Flags(), verb, true)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		only := func(s libpod.Status) bool { return s == when }
		return sel.each(cmd.Context(), a, args, only, func(ctx context.Context, e *libpod.Engine, name string) error {
			_, err := e.Pause(ctx, name, pause)
			return err
		})
	}
	return cmd
}

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
	missing := 0
	err = many(a, names, func(name string) (string, error) {
		if opts.depend {
			if err := e.RemoveDependents(ctx, name, opts.RemoveOptions); err != nil {
				return "", err
			}
		}
		_, err := e.Remove(ctx, name, opts.RemoveOptions)
		if absent(err) {
			if opts.ignore || opts.all {
				return "", nil
			}
			missing++
		}
		return name, err
	})
	failed, _ := err.(cli.Many) //nolint:errorlint // many returns it unwrapped
	if len(failed) > 0 && missing == len(failed) {
		return &cli.Exit{Code: 1, Err: failed}
	}
	if len(failed) > 0 {
		return &cli.Exit{Code: cli.Code(failed[0]), Err: failed}
	}
	return nil
}

type waitOptions struct {
	selection
	wanted []libpod.Status
	every  time.Duration
	first  bool
}

func newWait(a *cli.App) *cobra.Command {
	var opts waitOptions
	var conditions []string
	var interval string
	cmd := &cobra.Command{
		Use: "wait [options] CONTAINER [CONTAINER...]", Short: "Block on one or more containers",
		Long:    "Waits until containers have ended, or have one of the conditions, and prints their exit codes.",
		Example: "  pod wait job\n  pod wait --condition running web",
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&conditions, "condition", nil, "Condition to wait on")
	fs.BoolVar(&opts.first, "exit-first-match", false, "Only wait until the first condition is met")
	fs.BoolVar(&opts.ignore, "ignore", false, "Ignore if a container does not exist")
	fs.StringVarP(&interval, "interval", "i", "250ms", "Time interval to wait before checking the condition again")
	fs.BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest container")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var err error
		if opts.every, err = time.ParseDuration(interval); err != nil {
			if opts.every, err = time.ParseDuration(interval + "ms"); err != nil {
				return fmt.Errorf("interval %q is not a duration: write for example 250ms or 2s", interval)
			}
		}
		for _, c := range conditions {
			if !validCondition(c) {
				return fmt.Errorf("condition %q is unknown: use configured, created, exited, healthy, initialized, paused, removing, running, stopped, stopping or unhealthy", c)
			}
			if c == "configured" {
				c = string(libpod.StatusCreated)
			}
			opts.wanted = append(opts.wanted, libpod.Status(c))
		}
		return runWait(cmd.Context(), a, &opts, args)
	}
	return cmd
}

func validCondition(c string) bool {
	switch c {
	case "configured", "created", "exited", "initialized", "paused", "removing", "running", "stopped", "stopping":
		return true
	}
	return false
}

func runWait(ctx context.Context, a *cli.App, opts *waitOptions, args []string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	names, err := opts.names(ctx, e, args, nil)
	if err != nil {
		return err
	}
	if !opts.first {
		return many(a, names, func(name string) (string, error) {
			code, err := e.Wait(ctx, name, opts.wanted, opts.every)
			if opts.ignore && absent(err) {
				return "-1", nil
			}
			return fmt.Sprint(code), err
		})
	}
	type answer struct {
		code int
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, len(names))
	for _, name := range names {
		go func() {
			code, err := e.Wait(ctx, name, opts.wanted, opts.every)
			answers <- answer{code, err}
		}()
	}
	got := <-answers
	if got.err != nil {
		return got.err
	}
	fmt.Fprintln(a.Out, got.code)
	return nil
}

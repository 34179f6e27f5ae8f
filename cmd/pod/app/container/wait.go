package container

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
)

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
	case "configured", "created", "exited", "healthy", "initialized", "paused", "removing", "running", "stopped", "stopping", "unhealthy":
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

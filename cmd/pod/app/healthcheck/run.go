package healthcheck

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/health"
)

// codeUnhealthy is the exit code of a check that failed.
const codeUnhealthy = 1

type runOptions struct {
	ignoreResult, timer bool
}

func newRun(a *cli.App) *cobra.Command {
	var opts runOptions
	cmd := &cobra.Command{
		Use: "run [options] CONTAINER", Short: "Run the health check of a container",
		Long: "Runs the health check of a container now, and notes the result as if it had been its turn.\n" +
			"Exits with 0 if the check succeeded, 1 if it failed, 125 if it could not be made.",
		Example: "  pod healthcheck run web", Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&opts.ignoreResult, "ignore-result", false, "Exit with code 0 regardless of the result")
	cmd.Flags().BoolVar(&opts.timer, "timer", false, "The container's timer asks")
	_ = cmd.Flags().MarkHidden("timer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runRun(cmd.Context(), a, opts, args[0]) }
	return cmd
}

func runRun(ctx context.Context, a *cli.App, opts runOptions, name string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	status, err := e.HealthCheck(ctx, name, opts.timer)
	if err != nil || status == health.Healthy || opts.timer {
		return err
	}
	fmt.Fprintln(a.Out, status)
	if opts.ignoreResult {
		return nil
	}
	return &cli.Exit{Code: codeUnhealthy}
}

package pod

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func newExists(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "exists POD", Short: "Check if a pod exists",
		Long: "Ends with the exit code 0 if there is such a pod, and 1 if there is none.", Example: "  pod pod exists shop",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			_, err = e.LookupPod(cmd.Context(), args[0])
			if absent(err) {
				return cli.Exists(false, nil)
			}
			return err
		},
	}
}

// name and id are what verbs print of a pod, as in the field.
func name(p *state.Pod, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return p.Name, nil
}

func id(p *state.Pod, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return p.ID, nil
}

func newStart(a *cli.App) *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use: "start [options] POD [POD...]", Short: "Start one or more pods",
		Long:    "Starts the containers of pods: first the infra container, then the init containers one after the other, then the others, each after those it requires.",
		Example: "  pod pod start shop\n  pod pod start --all",
	}
	s.flags(cmd.Flags(), "Start")
	s.idFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.each(cmd.Context(), a, args, func(ctx context.Context, e *libpod.Engine, pod string) (string, error) {
			return name(e.StartPod(ctx, pod))
		})
	}
	return cmd
}

func newStop(a *cli.App) *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use: "stop [options] POD [POD...]", Short: "Stop one or more pods",
		Long:    "Stops the containers of pods, the infra container last.",
		Example: "  pod pod stop shop\n  pod pod stop --time 2 --all",
	}
	s.flags(cmd.Flags(), "Stop")
	s.idFlag(cmd.Flags())
	cmd.Flags().BoolVarP(&s.ignore, "ignore", "i", false, "Ignore errors when a specified pod is missing")
	timeout := timeFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.each(cmd.Context(), a, args, func(ctx context.Context, e *libpod.Engine, pod string) (string, error) {
			return name(e.StopPod(ctx, pod, timeout()))
		})
	}
	return cmd
}

func newRestart(a *cli.App) *cobra.Command {
	var s selection
	cmd := &cobra.Command{
		Use: "restart [options] POD [POD...]", Short: "Restart one or more pods",
		Long: "Stops the containers of pods that run, and starts all of them.", Example: "  pod pod restart shop",
	}
	s.flags(cmd.Flags(), "Restart")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.each(cmd.Context(), a, args, func(ctx context.Context, e *libpod.Engine, pod string) (string, error) {
			return id(e.RestartPod(ctx, pod))
		})
	}
	return cmd
}

func newKill(a *cli.App) *cobra.Command {
	var s selection
	var signal string
	cmd := &cobra.Command{
		Use: "kill [options] POD [POD...]", Short: "Send the specified signal or SIGKILL to containers in pod",
		Long: "Sends a signal to the first process of each container of the pods that runs.", Example: "  pod pod kill --signal HUP shop",
	}
	s.flags(cmd.Flags(), "Kill")
	cmd.Flags().StringVarP(&signal, "signal", "s", "KILL", "Signal to send to the containers in the pod")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number, err := specgen.ParseSignal(signal)
		if err != nil {
			return err
		}
		return s.each(cmd.Context(), a, args, func(ctx context.Context, e *libpod.Engine, pod string) (string, error) {
			return id(e.KillPod(ctx, pod, number))
		})
	}
	return cmd
}

func newPause(a *cli.App) *cobra.Command {
	return freezer(a, true, &cobra.Command{
		Use: "pause [options] POD [POD...]", Short: "Pause one or more pods",
		Long: "Freezes the containers of pods that run.", Example: "  pod pod pause shop",
	})
}

func newUnpause(a *cli.App) *cobra.Command {
	return freezer(a, false, &cobra.Command{
		Use: "unpause [options] POD [POD...]", Short: "Unpause one or more pods",
		Long: "Lets the containers of pods go on that are paused.", Example: "  pod pod unpause shop",
	})
}

func freezer(a *cli.App, pause bool, cmd *cobra.Command) *cobra.Command {
	var s selection
	verb := "Unpause"
	if pause {
		verb = "Pause"
	}
	s.flags(cmd.Flags(), verb)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return s.each(cmd.Context(), a, args, func(ctx context.Context, e *libpod.Engine, pod string) (string, error) {
			return id(e.PausePod(ctx, pod, pause))
		})
	}
	return cmd
}

func newRm(a *cli.App) *cobra.Command {
	var s selection
	var force bool
	cmd := &cobra.Command{
		Use: "rm [options] POD [POD...]", Short: "Remove one or more pods",
		Long:    "Removes pods with all their containers. With --force those that run are stopped first.",
		Example: "  pod pod rm shop\n  pod pod rm --force --all",
	}
	s.flags(cmd.Flags(), "Remove")
	s.idFlag(cmd.Flags())
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Force removal of a running pod by first stopping all containers, then removing all containers in the pod")
	cmd.Flags().BoolVarP(&s.ignore, "ignore", "i", false, "Ignore errors when a specified pod is missing")
	timeout := timeFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts := libpod.RemovePodOptions{Force: force, Timeout: timeout()}
		if opts.Timeout != nil && !force {
			return errors.New("--force option must be specified to use the --time option")
		}
		s.ignore = s.ignore || force // as for containers: what is not there is removed
		err := s.each(cmd.Context(), a, args, func(ctx context.Context, e *libpod.Engine, pod string) (string, error) {
			return id(e.RemovePod(ctx, pod, opts))
		})
		if drop := s.dropIDFiles(cmd.Context(), a); drop != nil {
			err = errors.Join(err, drop)
		}
		var missing errMissing
		if errors.As(err, &missing) {
			return &cli.Exit{Code: 1, Err: missing.Many}
		}
		return err
	}
	return cmd
}

// dropIDFiles removes the files that name pods which are gone.
func (s *selection) dropIDFiles(ctx context.Context, a *cli.App) error {
	if len(s.idFiles) == 0 {
		return nil
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	return cli.DropIDFiles("pod ID file", s.idFiles, func(content string) bool {
		id := strings.TrimSpace(content)
		_, err := e.LookupPod(ctx, id)
		return id != "" && !absent(err)
	})
}

func newPrune(a *cli.App) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "prune [options]", Short: "Remove all stopped pods and their containers",
		Long: "Removes the pods that have run and of which no container runs.", Example: "  pod pod prune --force", Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "Do not prompt for confirmation")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runPrune(cmd.Context(), a, force) }
	return cmd
}

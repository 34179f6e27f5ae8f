package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/container"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

type logsOptions struct {
	container.LogsOptions
	// of is one container of the pod.
	of     string
	latest bool
}

func newLogs(a *cli.App) *cobra.Command {
	var opts logsOptions
	cmd := &cobra.Command{
		Use: "logs [options] POD", Short: "Fetch logs for pod with one or more containers",
		Long:    "Prints what the containers of a pod have written, each line with the container it is of.",
		Example: "  pod pod logs --follow --names shop\n  pod pod logs --container web shop",
		Args:    cobra.MaximumNArgs(1),
	}
	opts.Flags(cmd.Flags())
	cmd.Flags().StringVarP(&opts.of, "container", "c", "", "Filter logs by container name or id which belongs to pod")
	cmd.Flags().BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest pod pod is aware of")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runLogs(cmd.Context(), a, &opts, args) }
	return cmd
}

// one is the pod that an argument or --latest means.
func one(ctx context.Context, e *libpod.Engine, args []string, latest bool, missing string) (*state.Pod, error) {
	switch {
	case latest && len(args) > 0:
		return nil, errors.New("no arguments are needed with --latest")
	case latest:
		return e.LatestPod(ctx)
	case len(args) == 0:
		return nil, errors.New(missing)
	}
	return e.LookupPod(ctx, args[0])
}

func runLogs(ctx context.Context, a *cli.App, opts *logsOptions, args []string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	p, err := one(ctx, e, args, opts.latest, "specify at least one pod name or ID to log")
	if err != nil {
		return err
	}
	members, err := e.PodMembers(ctx, p)
	if err != nil {
		return err
	}
	if opts.of != "" {
		c, err := e.Lookup(ctx, opts.of)
		var absent state.ErrNoContainer
		if errors.As(err, &absent) || (err == nil && c.Spec.Pod != p.ID) {
			return fmt.Errorf("container %s is not in pod %s: no such container", opts.of, p.Name)
		}
		if err != nil {
			return err
		}
		return opts.Show(ctx, a, e, []*state.Container{c})
	}
	members = slices.DeleteFunc(members, func(c *state.Container) bool { return c.Spec.IsInfra })
	return opts.Show(ctx, a, e, members)
}

func newTop(a *cli.App) *cobra.Command {
	var latest, list bool
	cmd := &cobra.Command{
		Use: "top [options] POD [FORMAT-DESCRIPTORS|ARGS...]", Short: "Display the running processes of containers in a pod",
		Long: "Shows the processes of all containers of a pod as they look from inside. Columns are chosen by descriptors:\n" +
			strings.Join(libpod.TopDescriptors(), ", ") + ".",
		Example: "  pod pod top shop\n  pod pod top shop pid,user,args",
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	fs.BoolVarP(&latest, "latest", "l", false, "Act on the latest pod pod is aware of")
	fs.BoolVar(&list, "list-descriptors", false, "List the descriptors")
	_ = fs.MarkHidden("list-descriptors")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if list {
			fmt.Fprintln(a.Out, strings.Join(libpod.TopDescriptors(), "\n"))
			return nil
		}
		return runTop(cmd.Context(), a, args, latest)
	}
	return cmd
}

func runTop(ctx context.Context, a *cli.App, args []string, latest bool) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	var wanted []string
	if !latest && len(args) > 0 {
		args, wanted = args[:1], args[1:]
	} else {
		args, wanted = nil, args
	}
	p, err := one(ctx, e, args, latest, "you must provide the name or id of a running pod")
	if err != nil {
		return err
	}
	rows, err := e.TopPod(ctx, p.ID, wanted)
	if err != nil {
		return err
	}
	return output.Processes(a.Out, rows)
}

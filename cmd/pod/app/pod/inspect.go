package pod

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newInspect(a *cli.App) *cobra.Command {
	var format string
	var latest bool
	cmd := &cobra.Command{
		Use: "inspect [options] POD [POD...]", Short: "Display a pod configuration",
		Long: "Prints all about pods as JSON, or what --format asks for.", Example: "  pod pod inspect shop\n  pod pod inspect --format '{{.State}}' shop",
	}
	cmd.Flags().StringVarP(&format, "format", "f", "json", "Format the output to a Go template or json")
	cmd.Flags().BoolVarP(&latest, "latest", "l", false, "Act on the latest pod pod is aware of")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runInspect(cmd.Context(), a, args, latest, format)
	}
	return cmd
}

func runInspect(ctx context.Context, a *cli.App, args []string, latest bool, format string) error {
	if len(args) == 0 && !latest {
		return errors.New("no names or ids specified")
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	names, err := (&selection{latest: latest}).names(ctx, e, args)
	if err != nil {
		return err
	}
	found := []*libpod.InspectPod{}
	var failed cli.Many
	for _, name := range names {
		p, err := e.InspectPod(ctx, name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		found = append(found, p)
	}
	// What was found is shown, whatever else was not.
	if err := output.Values(a.Out, found, format); err != nil {
		return err
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

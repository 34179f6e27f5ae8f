package container

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
)

func newExport(a *cli.App) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "export [options] CONTAINER", Short: "Export container's filesystem contents as a tar archive",
		Long:    "Writes the container's file system, without its volumes and other mounts, as a tar archive. `pod import` makes an image of it.",
		Example: "  pod export --output web.tar web\n  pod export web | tar t", Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "Write to a specified file (default: stdout, which must be redirected)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runExport(cmd.Context(), a, args[0], output) }
	return cmd
}

func runExport(ctx context.Context, a *cli.App, name, output string) (err error) {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if output == "" {
		if view.IsTerminal(a.Out) {
			return errors.New("refusing to export to terminal. Use -o flag or redirect")
		}
		return e.Export(ctx, name, a.Out)
	}
	c, err := e.Lookup(ctx, name) // before a file is made for it
	if err != nil {
		return err
	}
	return cli.WriteFile(output, a.FileMode(), func(w io.Writer) error { return e.Export(ctx, c.ID, w) })
}

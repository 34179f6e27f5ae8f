package image

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newDiff(a *cli.App) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "diff [options] IMAGE [IMAGE]", Short: "Inspect changes to the image's file systems",
		Long:    "Lists the files that the last layer of an image adds (A), changes (C) and deletes (D), or what an image has over another one.",
		Example: "  pod image diff app:v2 app:v1", Args: cobra.RangeArgs(1, 2),
	}
	flag.DiffFormat(cmd.Flags(), &format)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		args = append(args, "")
		changes, err := e.Diff(cmd.Context(), args[0], args[1], libpod.DiffScope{Images: true})
		if err != nil {
			return err
		}
		return output.Changes(a.Out, changes, format)
	}
	return cmd
}

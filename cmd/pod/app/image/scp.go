package image

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/image/transfer"
)

// scpVerb runs in the host's view, where ssh finds its user's keys.
const scpVerb = "scp"

// HostView says whether a command is one of ours that runs outside pod's
// namespaces.
func HostView(cmd *cobra.Command) bool {
	return cmd.Name() == scpVerb && cmd.Parent() != nil && cmd.Parent().Name() == "image"
}

func newScp(a *cli.App) *cobra.Command {
	opts := &transfer.Options{}
	cmd := &cobra.Command{
		Use:   scpVerb + " [options] IMAGE [HOST::]",
		Short: "Securely copy images",
		Long: "Copy an image from one store to another, by ssh. IMAGE is of this store, or HOST::IMAGE; it goes to HOST::, or to\n" +
			"this store. HOST is the name of a connection of containers.conf, [USER@]HOST[:PORT], or USER@localhost for another\n" +
			"user of this machine, which takes root or sudo. The other side needs pod or podman.",
		Example: "  pod image scp app build.example::\n  pod image scp me@build.example:2222::app\n  sudo pod image scp app dev@localhost::",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runScp(cmd.Context(), a, *opts, args)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&opts.Format, "format", "", "Archive to send: docker-archive or oci-archive")
	fs.BoolVarP(&opts.Quiet, "quiet", "q", false, "Suppress the output")
	return cmd
}

func runScp(ctx context.Context, a *cli.App, opts transfer.Options, args []string) error {
	switch opts.Format {
	case "", image.FormatDockerArchive, image.FormatOCIArchive:
	default:
		return fmt.Errorf("--format %q: use docker-archive or oci-archive", opts.Format)
	}
	conf, err := a.Config()
	if err != nil {
		return err
	}
	from, to, err := transfer.Parse(args, func(name string) (string, string) {
		c, err := conf.GetConnection(name, false)
		if err != nil { // a host then
			return "", ""
		}
		return c.URI, c.Identity
	})
	if err != nil {
		return err
	}
	if opts.Self, err = a.Self(); err != nil {
		return err
	}
	opts.Root, opts.Progress = a.HostUID() == 0, a.Err
	printed, err := transfer.Copy(ctx, from, to, opts)
	if err != nil || opts.Quiet {
		return err
	}
	for _, line := range printed {
		fmt.Fprintln(a.Out, output.Printable(line))
	}
	return nil
}

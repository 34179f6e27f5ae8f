package container

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
)

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

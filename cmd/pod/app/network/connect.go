package network

import (
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func newConnect(a *cli.App) *cobra.Command {
	var four, six string
	var to specgen.Attachment
	cmd := &cobra.Command{
		Use: "connect [options] NETWORK CONTAINER", Short: "Add container to a network",
		Long:    "Put a container on one more network, at once if it runs. It must have been made with --network NAME.",
		Example: "  pod network connect web db\n  pod network connect --ip 10.5.0.7 --alias cache back db", Args: cobra.ExactArgs(2),
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&to.Aliases, "alias", nil, "network scoped alias for container")
	fs.StringVar(&four, "ip", "", "set a static ipv4 address for this container network")
	fs.StringVar(&six, "ip6", "", "set a static ipv6 address for this container network")
	fs.StringVar(&to.MAC, "mac-address", "", "set a static mac address for this container network")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to.Name = args[0]
		for _, text := range []string{four, six} {
			if text == "" {
				continue
			}
			ip, err := netip.ParseAddr(text)
			if err != nil {
				return err
			}
			to.IPs = append(to.IPs, ip.Unmap())
		}
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		return e.Connect(cmd.Context(), args[1], to)
	}
	return cmd
}

func newDisconnect(a *cli.App) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "disconnect [options] NETWORK CONTAINER", Short: "Disconnect a container from a network",
		Long:    "Take a container off a network, at once if it runs.",
		Example: "  pod network disconnect web db", Args: cobra.ExactArgs(2),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "force removal of container from network")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		return e.Disconnect(cmd.Context(), args[1], args[0], force)
	}
	return cmd
}

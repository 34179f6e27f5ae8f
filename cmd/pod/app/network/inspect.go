package network

import (
	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newInspect(a *cli.App) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "inspect [options] NETWORK [NETWORK...]", Short: "Inspect network",
		Long:    "Print networks as JSON, with the running containers on them, or what --format asks for.",
		Example: "  pod network inspect web\n  pod network inspect --format '{{range .Subnets}}{{.Subnet}}{{end}}' web", Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "Pretty-print network to JSON or using a Go template")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		e, err := a.Engine(cmd.Context())
		if err != nil {
			return err
		}
		var found []*libpod.InspectedNetwork
		var failed cli.Many
		for _, name := range args {
			n, err := e.InspectNetwork(cmd.Context(), name)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			found = append(found, n)
		}
		if len(found) > 0 || format == "" {
			if err := output.Values(a.Out, found, format); err != nil {
				return err
			}
		}
		if len(failed) > 0 {
			return failed
		}
		return nil
	}
	return cmd
}

func newExists(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use: "exists NETWORK", Short: "Check if network exists",
		Long:    "Exits with 0 if the network exists, with 1 if it does not.",
		Example: "  pod network exists web && echo yes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.Engine(cmd.Context())
			if err != nil {
				return err
			}
			if _, err = e.Networks().Lookup(args[0]); absent(err) {
				return cli.Exists(false, nil)
			}
			return err
		},
	}
}

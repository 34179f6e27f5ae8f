package manifest

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
)

func newInspect(a *cli.App) *cobra.Command {
	flags := &registry.Flags{}
	cmd := &cobra.Command{
		Use:     "inspect [options] IMAGE",
		Short:   "Display the contents of a manifest list or image index",
		Long:    "Print a local list as JSON, or else what a registry has under the name; nothing of it is brought here.",
		Example: "  pod manifest inspect app:v1\n  pod manifest inspect docker.io/library/alpine",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInspect(cmd.Context(), a, flags, args)
		},
	}
	fs := cmd.Flags()
	flags.AddAuthfile(fs)
	flags.AddTLS(fs)
	flags.AddInsecure(fs)
	fs.BoolP("verbose", "v", false, "Added for Docker compatibility: it changes nothing")
	fs.Lookup("verbose").Hidden = true
	return cmd
}

func runInspect(ctx context.Context, a *cli.App, flags *registry.Flags, args []string) error {
	if err := named(args); err != nil {
		return err
	}
	access, err := flags.Access()
	if err != nil {
		return err
	}
	store, err := lists(ctx, a)
	if err != nil {
		return err
	}
	found, err := store.Inspect(ctx, args[0], access)
	if err != nil {
		return err
	}
	if found.Single != "" {
		a.Warn("The manifest type %s is not a manifest list but a single image.", found.Single)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, found.JSON, "", "    "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err = a.Out.Write(out.Bytes())
	return err
}

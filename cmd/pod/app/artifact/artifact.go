// Package artifact holds the commands on OCI artifacts.
package artifact

import (
	"context"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/image/artifact"
)

// Commands returns `pod artifact …`; there are no top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "artifact", Short: "Manage OCI artifacts",
		Long: "Keep files with a type as OCI artifacts, and share them at registries as images are.",
		Example: "  pod artifact add registry.example/team/model:v1 weights.bin\n  pod artifact push registry.example/team/model:v1\n" +
			"  pod artifact extract registry.example/team/model:v1 .",
		Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
		"add": newAdd, "extract": newExtract, "inspect": newInspect, "ls": newList, "pull": newPull, "push": newPush, "rm": newRm,
	}), nil
}

// open opens the artifacts of the user.
func open(ctx context.Context, a *cli.App) (*artifact.Store, error) {
	images, err := library.Images(ctx, a)
	if err != nil {
		return nil, err
	}
	return artifact.New(images, a.Log), nil
}

package image

import (
	"context"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/events"
)

func newTag(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:     "tag IMAGE TARGET_NAME [TARGET_NAME...]",
		Short:   "Add an additional name to a local image",
		Long:    "Give a local image more names. A name without registry becomes localhost/NAME.",
		Example: "  pod tag 0e3bbc2 fedora:latest\n  pod tag app registry.example/team/app:v2",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTag(cmd.Context(), a, args[0], args[1:])
		},
	}
}

func runTag(ctx context.Context, a *cli.App, name string, names []string) error {
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	if err := images.Tag(ctx, name, names...); err != nil {
		return err
	}
	for _, more := range names {
		recordNamed(ctx, a, images, events.Tag, more)
	}
	return nil
}

func newUntag(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:     "untag IMAGE [IMAGE...]",
		Short:   "Remove a name from a local image",
		Long:    "Take names away from a local image: those given after it, or all it has. The image stays.",
		Example: "  pod untag 0e3bbc2\n  pod untag app:latest other-name:latest",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUntag(cmd.Context(), a, args[0], args[1:])
		},
	}
}

func runUntag(ctx context.Context, a *cli.App, name string, names []string) error {
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	config, err := images.Resolve(ctx, name)
	if err != nil {
		return err
	}
	if err := images.Untag(ctx, name, names...); err != nil {
		return err
	}
	record(a, events.Untag, config.ID, name)
	return nil
}

package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod"
)

func newRm(a *cli.App, name string) *cobra.Command {
	opts := &image.RemoveOptions{}
	path := "pod " + name
	if name == "rm" {
		path = "pod image rm"
	}
	cmd := &cobra.Command{
		Use:   name + " [options] IMAGE [IMAGE...]",
		Short: "Remove one or more images from local storage",
		Long: "Take names away from images, and remove the images that have none left. Exit code 1: an image does not\n" +
			"exist; 2: one is in use.",
		Example: "  " + path + " app:v1\n  " + path + " --all --force",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRm(cmd.Context(), a, *opts, args)
		},
	}
	fs := cmd.Flags()
	flag.All(fs, &opts.All, "a", "Remove all images")
	fs.BoolVarP(&opts.Force, "force", "f", false, "Force removal of the image, and of containers using it")
	fs.BoolVarP(&opts.Ignore, "ignore", "i", false, "Ignore errors if a specified image does not exist")
	fs.BoolVar(&opts.NoPrune, "no-prune", false, "Do not remove dangling images")
	return cmd
}

func runRm(ctx context.Context, a *cli.App, opts image.RemoveOptions, names []string) error {
	switch {
	case opts.All && len(names) > 0:
		return errors.New("when using the --all switch, you may not pass any images names or IDs")
	case !opts.All && len(names) == 0:
		return errors.New("image name or ID must be specified, or --all")
	}
	if opts.Force {
		opts.Ignore = true
		opts.RemoveContainers = func(imageID string) error { return removeContainers(ctx, a, imageID) }
	}
	errs, err := library.Remove(ctx, a, opts, names)
	if err != nil {
		return err
	}
	return absentOrUsed(errs)
}

// removeContainers removes pod's containers of an image. Those of other tools
// are the store's matter.
func removeContainers(ctx context.Context, a *cli.App, imageID string) error {
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	all, err := engine.List(ctx, nil)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		if c.ImageID != imageID {
			continue
		}
		if _, err := engine.Remove(ctx, c.ID, libpod.RemoveOptions{Force: true, Volumes: true, Needed: true}); err != nil {
			errs = append(errs, fmt.Errorf("remove container %s: %w", c.ID[:12], err))
		}
	}
	return errors.Join(errs...)
}

package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/specgen"
)

type cloneOptions struct {
	libpod.CloneOptions
	destroy, force, run bool
}

func newClone(a *cli.App) *cobra.Command {
	var opts cloneOptions
	cmd := &cobra.Command{
		Use: "clone [options] CONTAINER [NAME [IMAGE]]", Short: "Clone an existing container",
		Long: "Makes a new container with the options of another one; flags change its limits, and IMAGE what it is made of. " +
			"What the other one has written is not copied: see `pod commit`.",
		Example: "  pod container clone web\n  pod container clone --destroy --run --memory 1g web web2 nginx:1.29",
		Args:    cobra.RangeArgs(1, 3),
	}
	fs := cmd.Flags()
	flag.Limits(fs, &opts.Resources)
	fs.BoolVar(&opts.destroy, "destroy", false, "Destroy the original container")
	fs.BoolVarP(&opts.force, "force", "f", false, "Force the existing container to be destroyed")
	fs.StringVar(&opts.Name, "name", "", "Set a custom name for the cloned container")
	fs.BoolVar(&opts.run, "run", false, "Run the new container")
	fs.StringVar(&opts.Pod, "pod", "", "Add the clone to a pod: NAME or ID")
	var missing []string
	for _, name := range []string{
		"blkio-weight", "blkio-weight-device", "cpu-rt-period", "cpu-rt-runtime",
		"device-read-bps", "device-write-bps", "memory-swappiness",
	} {
		if fs.Lookup(name) == nil {
			missing = append(missing, name)
		}
	}
	flag.Unsupported(fs, missing...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runClone(cmd.Context(), a, &opts, args) }
	return cli.CompletePod(a, cmd)
}

func runClone(ctx context.Context, a *cli.App, opts *cloneOptions, args []string) error {
	if opts.force && !opts.destroy {
		return errors.New("cannot set --force without --destroy: --force removes the original although it runs")
	}
	if len(args) > 1 {
		if opts.Name != "" && opts.Name != args[1] {
			return fmt.Errorf("cannot set --name %s and the name %s too: choose one", opts.Name, args[1])
		}
		opts.Name = args[1]
	}
	if len(args) > 2 {
		opts.Image = args[2]
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	opts.CreateCommand = a.Args
	original, spec, err := e.CloneSource(ctx, args[0], opts.CloneOptions)
	if err != nil {
		return err
	}
	var img specgen.ImageConfig
	if spec.Rootfs == "" {
		images, err := a.Images(ctx)
		if err != nil {
			return err
		}
		if opts.Image == "" {
			img, err = images.Resolve(ctx, original.ImageID)
			img.Name = original.ImageName
		} else {
			img, err = images.Ensure(ctx, opts.Image, basic.PullOptions{Progress: a.Err})
		}
		if err != nil {
			return err
		}
	}
	if opts.destroy && !opts.force && isUp(e.Status(original)) {
		return fmt.Errorf("cannot destroy container %s as it is %s: stop it first, or use --force: %w", original.Name, e.Status(original), libpod.ErrStateImproper)
	}
	clone, err := e.Create(ctx, spec, img)
	if err != nil {
		return err
	}
	if opts.destroy {
		if _, err := e.Remove(ctx, original.ID, libpod.RemoveOptions{Force: opts.force}); err != nil {
			return err
		}
	}
	if opts.run {
		if _, err := e.Start(ctx, clone.ID); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.Out, clone.ID)
	return nil
}

// Package build holds `pod build`.
package build

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	buildahcli "go.podman.io/buildah/pkg/cli"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/build"
	"github.com/rootless-pod/pod/pkg/events"
)

// Commands returns `pod build`; there is no group.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	return nil, []*cobra.Command{New(a)}
}

// New returns the command, for `pod build` and for `pod image build`.
func New(a *cli.App) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "build [options] [CONTEXT]",
		Short: "Build an image using instructions from Containerfiles",
		Long: "Build an image from a Containerfile or Dockerfile and a context: a directory, a git repository, or the URL of\n" +
			"an archive or of a Containerfile. Stages that do not need each other are built at the same time.",
		Example: "  pod build .\n  pod build -t app:1 --build-arg VERSION=1 -f Containerfile.alpine .\n" +
			"  pod build --platform linux/amd64,linux/arm64 --manifest app:1 https://example.org/app.git#main:image",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), a, cmd, f, args)
		},
	}
	if wanted(a.Args) {
		if err := f.add(cmd); err != nil {
			cmd.RunE = func(*cobra.Command, []string) error { return err }
		}
	}
	return cmd
}

func run(ctx context.Context, a *cli.App, cmd *cobra.Command, f *flags, args []string) (err error) {
	if f.squashAll && cmd.Flags().Changed("layers") {
		return errors.New("cannot specify --squash-all with --layers: all layers become one")
	}
	opts, files, remove, err := buildahcli.GenBuildOptions(cmd, args, buildahcli.BuildOptions{
		LayerResults: &f.layers, BudResults: &f.build, UserNSResults: &f.userns, FromAndBudResults: &f.run, NameSpaceResults: &f.namespaces,
	})
	defer func() {
		for _, path := range remove {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}()
	if err != nil {
		return err
	}
	images, err := a.Images(ctx)
	if err != nil {
		return err
	}
	opts.Layers = f.layers.Layers
	if f.squashAll {
		opts.Squash, opts.Layers = true, false
	}
	opts.In, opts.Out, opts.Err = nil, a.Out, a.Err
	if f.build.Stdin {
		opts.In = a.In
	}
	id, err := build.Run(ctx, images, build.Request{Options: opts, Files: files})
	if err != nil {
		return err
	}
	log, err := a.Events()
	if err == nil {
		err = log.Write(events.Event{Type: events.Image, Status: events.Build, ID: id, Name: opts.Output})
	}
	if err != nil {
		a.Warn("the event build of image %s was not recorded: %v", id, err)
	}
	return nil
}

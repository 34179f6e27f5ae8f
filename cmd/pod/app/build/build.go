// Package build holds `pod build`.
package build

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/build"
	"github.com/rootless-pod/pod/pkg/events"
)

// Commands returns `pod build`; there is no group.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	return nil, a.Top(cli.Verbs{"build": New})
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
	if _, err := a.Settings(); err != nil {
		return err
	}
	if err := f.check(cmd.Flags()); err != nil {
		return err
	}
	how, err := f.shown(cmd.Flags())
	if err != nil {
		return err
	}
	f.build.Quiet = how == showQuiet
	isolation, err := f.isolation()
	if err != nil {
		return err
	}
	src, err := bring(ctx, a, f, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	opts, remove, err := f.options(ctx, a, cmd, src)
	defer func() {
		for _, path := range remove {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}()
	if err != nil {
		return err
	}
	request := build.Request{Options: opts, Files: src.files}
	if cmd.Flags().Changed("plan") {
		return printPlans(ctx, a, &request, f.plan)
	}
	if f.verify {
		opts.NoCache = true // what another build has made proves nothing
	}
	a.Garbage = 32 << 20 // each file that is copied leaves a buffer
	images, err := library.Images(ctx, a)
	if err != nil {
		return err
	}
	if request.Host, err = host(a, opts.RuntimeArgs); err != nil {
		return err
	}
	tell, end, err := show(a, how, &opts)
	if err != nil {
		return err
	}
	request.Progress, request.Warn = tell, func(text string) { a.Warn("%s", text) }
	request.Options, request.Key, request.Isolation = opts, src.key(), isolation
	results := request.Results()
	sign, err := f.signer(ctx, images, &request.Options)
	if err != nil {
		return err
	}
	defer sign.close(ctx)
	id, err := build.Run(ctx, images, request)
	if endErr := end(err); endErr != nil {
		a.Warn("%v", endErr)
	}
	if err != nil {
		return exitOf(err)
	}
	if err := sign.image(ctx, id); err != nil {
		return err
	}
	a.Record(events.Image, events.Build, id, opts.Output)
	if err := images.MarkBuilt(ctx, id); err != nil {
		a.Warn("%v", err)
	}
	a.CollectGarbage(ctx)
	if f.verify {
		if len(*results) == 0 {
			*results = []string{id} // it is written to the file of --iidfile alone
		}
		return verifyBuild(ctx, images, &request, how, *results)
	}
	return nil
}

// bring finds the context and brings it; a signal ends that, and leaves nothing.
func bring(ctx context.Context, a *cli.App, f *flags, args []string) (*source, error) {
	ctx, stop := build.Interruptible(ctx)
	defer stop()
	src, err := locate(ctx, args, f.build.File, a.In)
	var interrupted build.Interrupted
	if err != nil && errors.As(context.Cause(ctx), &interrupted) {
		return nil, interrupted
	}
	return src, err
}

// exitOf ends pod as the failing RUN ended, which scripts ask for.
func exitOf(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &cli.Exit{Code: exit.ExitCode(), Err: err}
	}
	return err
}

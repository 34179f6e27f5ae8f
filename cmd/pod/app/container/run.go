package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/internal/sdnotify"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
	"github.com/rootless-pod/pod/pkg/specgen"
)

type runOptions struct {
	spec   specgen.Container
	create *flag.CreateOptions
	run    *flag.RunOptions
}

func newRun(a *cli.App) *cobra.Command {
	var opts runOptions
	cmd := &cobra.Command{
		Use: "run [options] IMAGE [COMMAND [ARG...]]", Short: "Run a command in a new container",
		Long:    "Runs a command in a new container made of the image, which is pulled if it is not there.",
		Example: "  pod run --rm hello\n  pod run -it --rm alpine sh\n  pod run -d --name web -p 8080:80 nginx",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().SetInterspersed(false)
	opts.create = flag.Create(cmd.Flags(), &opts.spec)
	opts.run = flag.Run(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runRun(cmd.Context(), a, &opts, args)
	}
	return cli.CompletePod(a, cmd)
}

func runRun(ctx context.Context, a *cli.App, opts *runOptions, args []string) error {
	spec, create, run := &opts.spec, opts.create, opts.run
	if err := run.Check(create); err != nil {
		return err
	}
	if err := run.Fill(spec); err != nil {
		return err
	}
	e, img, err := describe(ctx, a, spec, create, args)
	if err != nil {
		return err
	}
	if err := checkPassthrough(a, spec); err != nil {
		return err
	}
	streams, err := chooseStreams(a, spec, create, run.Detach)
	if err != nil {
		return err
	}
	var attachment *libpod.AttachOptions
	if !run.Detach {
		attachment = &libpod.AttachOptions{Streams: *streams, DetachKeys: run.DetachKeys, SigProxy: run.SigProxy}
	}
	undo, err := enterPod(ctx, a, e, spec)
	if err != nil {
		return err
	}
	out, err := e.Run(ctx, spec, img, attachment, func(id string) error { return writeCIDFile(spec, id, a.FileMode()) })
	if err != nil && out.ID == "" {
		return undo(err) // there is no container
	}
	if err != nil {
		return err
	}
	if run.Detach {
		if !spec.Log.Passthrough() { // standard output is the container's
			fmt.Fprintln(a.Out, out.ID)
		}
		warnEnd(a, spec)
		return nil
	}
	return exitWith(out)
}

// checkPassthrough refuses to give a container a terminal that it did not ask
// for.
func checkPassthrough(a *cli.App, spec *specgen.Container) error {
	if spec.Log.Driver != "passthrough" {
		return nil
	}
	if slices.ContainsFunc([]any{a.In, a.Out, a.Err}, view.IsTerminal) {
		return errors.New("the '--log-driver passthrough' option cannot be used on a TTY: if you really want it, use '--log-driver passthrough-tty'")
	}
	return nil
}

// exitWith makes the container's exit code pod's own.
func exitWith(out libpod.Outcome) error {
	if out.Detached || out.Code == 0 {
		return nil
	}
	return &cli.Exit{Code: out.Code}
}

// describe completes the description from the command line and makes sure of
// the image.
func describe(ctx context.Context, a *cli.App, spec *specgen.Container, create *flag.CreateOptions, args []string) (*libpod.Engine, specgen.ImageConfig, error) {
	var img specgen.ImageConfig
	spec.CreateCommand = a.Args
	if err := create.Finish(spec, args, flag.ThisHost()); err != nil {
		return nil, img, err
	}
	if err := checkCIDFile(spec); err != nil {
		return nil, img, err
	}
	pull, err := pullOptions(a, create)
	if err != nil {
		return nil, img, err
	}
	if err := spec.Validate(); err != nil {
		return nil, img, err
	}
	if a.Parts.Begin != nil {
		if err := a.Parts.Begin(a, spec); err != nil {
			return nil, img, err
		}
	}
	_, _ = a.Config() // alone, and the engine tells what is wrong with it
	// The engine and the image store open side by side.
	opened := make(chan error, 1)
	go func() { opened <- step.Do(ctx, "engine.open", func() error { _, err := a.Engine(ctx); return err }) }()
	for _, m := range spec.Storage.Mounts {
		if m.Type != "image" {
			continue
		}
		images, err := a.Images(ctx)
		if err == nil {
			_, err = images.Ensure(ctx, m.Source, pull)
		}
		if err != nil {
			<-opened
			return nil, img, err
		}
	}
	pulled := false
	if spec.Rootfs == "" {
		defer sdnotify.Extend(ctx, os.Getenv("NOTIFY_SOCKET"))() // a pull may take longer than a unit's start
		images, err := a.Images(ctx)
		if err == nil {
			err = step.Do(ctx, "image.ensure", func() error {
				img, err = images.Ensure(ctx, spec.Image, pull)
				pulled = images.Wrote()
				return err
			})
		}
		if err != nil {
			<-opened
			return nil, img, err
		}
	}
	if err := <-opened; err != nil {
		return nil, img, err
	}
	if pulled {
		a.CollectGarbage(ctx)
	}
	e, err := a.Engine(ctx)
	return e, img, err
}

func pullOptions(a *cli.App, c *flag.CreateOptions) (basic.PullOptions, error) {
	p := basic.PullOptions{
		Policy: c.Pull, Platform: c.Platform, Quiet: c.Quiet, DecryptionKeys: c.DecryptionKeys,
		Access: basic.Access{
			Creds: c.Creds, Authfile: c.Authfile, CertDir: c.CertDir, TLSVerify: c.TLSVerify, Retry: c.Retry, SignaturePolicy: c.SignaturePolicy,
		},
	}
	if c.RetryDelay != "" {
		delay, err := time.ParseDuration(c.RetryDelay)
		if err != nil {
			return p, fmt.Errorf("--retry-delay %q is not a duration: write for example 5s", c.RetryDelay)
		}
		p.RetryDelay = delay
	}
	if !c.Quiet {
		p.Progress = a.Err
	}
	return p, nil
}

// chooseStreams says which of the caller's streams the container gets.
func chooseStreams(a *cli.App, spec *specgen.Container, create *flag.CreateOptions, detach bool) (*attach.Streams, error) {
	s := &attach.Streams{}
	if detach {
		return s, nil
	}
	if spec.Process.Stdin {
		s.In = a.In
		if spec.Process.Terminal && !term.IsTerminal(int(a.In.Fd())) {
			a.Warn("The input device is not a TTY. The --tty and --interactive flags might not work properly")
		}
	}
	s.Out, s.Err = a.Out, a.Err
	if len(create.Attach) > 0 {
		s = &attach.Streams{}
		for _, name := range create.Attach {
			switch name {
			case "stdin", "STDIN":
				s.In = a.In
				spec.Process.Stdin = true
			case "stdout", "STDOUT":
				s.Out = a.Out
			case "stderr", "STDERR":
				s.Err = a.Err
			default:
				return nil, fmt.Errorf("invalid stream %q for --attach - must be one of stdin, stdout, or stderr", name)
			}
		}
	}
	return s, nil
}

// checkCIDFile refuses a file that is there. With --replace it may be that of the container which is replaced.
func checkCIDFile(spec *specgen.Container) error {
	if spec.CIDFile == "" || spec.Replace {
		return nil
	}
	if _, err := os.Lstat(spec.CIDFile); err == nil {
		return fmt.Errorf("container id file exists. Ensure another container is not using it or delete %s", spec.CIDFile)
	}
	return nil
}

// writeCIDFile never overwrites: another container may use the file. The file of
// a container that is replaced is made anew.
func writeCIDFile(spec *specgen.Container, id string, mode fs.FileMode) error {
	if spec.CIDFile == "" {
		return nil
	}
	if spec.Replace {
		if err := os.Remove(spec.CIDFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("replace container id file: %w", err)
		}
	}
	f, err := os.OpenFile(spec.CIDFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("write container id file: %w", err)
	}
	_, err = f.WriteString(id)
	return errors.Join(err, f.Close())
}

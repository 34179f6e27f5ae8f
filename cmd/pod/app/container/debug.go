package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
	"github.com/rootless-pod/pod/pkg/specgen"
)

type debugOptions struct {
	spec     specgen.Container
	tools    string
	env      []string
	envFiles []string
	// interactive and tty are as the streams are, unless they were given.
	givenStdin, givenTerminal func() bool
}

func newDebug(a *cli.App) *cobra.Command {
	var opts debugOptions
	cmd := &cobra.Command{
		Use: "debug [options] CONTAINER|IMAGE [COMMAND [ARG...]]", Short: "Open a shell with tools in a container, or over an image",
		Long: `Runs a shell, or the command, from an image of tools beside a container.

With a container that runs, the shell shares its processes, network, IPC, host
name and user namespace, and has a root file system of its own. With one that has
stopped, or an image, it has a scratch layer over the root file system, which is
thrown away. Either is below /target, that of a running container below
/proc/1/root too. Nothing is changed in a stopped container or an image, and
nothing is left of the shell: it is a container named debug-NAME-XXXX that is
removed when it ends.

The shell is root there, with the capabilities of run and SYS_PTRACE, without
which it could not look into other processes.`,
		Example: "  pod debug web\n  pod debug web wget -O - http://127.0.0.1:8080\n  pod debug --tools alpine web sh\n  pod debug gcr.io/distroless/static ls -l /target",
		Args:    cobra.MinimumNArgs(1),
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	p, s := &opts.spec.Process, &opts.spec.Security
	fs.StringArrayVar(&s.CapAdd, "cap-add", nil, "Add capabilities, such as NET_RAW for tcpdump")
	fs.StringArrayVar(&s.CapDrop, "cap-drop", nil, "Drop capabilities")
	fs.StringArrayVarP(&opts.env, "env", "e", nil, "Set environment variables")
	fs.StringArrayVar(&opts.envFiles, "env-file", nil, "Read in a file of environment variables")
	fs.BoolVarP(&p.Stdin, "interactive", "i", false, "Keep STDIN open (default: if there is a terminal, or no command)")
	fs.BoolVar(&s.Privileged, "privileged", false, "Give all capabilities that pod has, and the host's devices")
	fs.StringVar(&opts.tools, "tools", "", "Local image to take the tools from (default: those built into pod)")
	fs.BoolVarP(&p.Terminal, "tty", "t", false, "Allocate a pseudo-TTY (default: if there is a terminal)")
	fs.StringVarP(&p.User, "user", "u", "0:0", "User or UID, and group or GID, as the tools' image knows them")
	fs.StringVarP(&p.WorkDir, "workdir", "w", "/", "Working directory")
	opts.givenStdin = func() bool { return fs.Changed("interactive") }
	opts.givenTerminal = func() bool { return fs.Changed("tty") }
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runDebug(cmd.Context(), a, &opts, args) }
	return cmd
}

func runDebug(ctx context.Context, a *cli.App, opts *debugOptions, args []string) error {
	spec := &opts.spec
	name, command := args[0], args[1:]
	if len(command) == 0 {
		command = []string{"sh"}
	}
	terminal := term.IsTerminal(int(a.In.Fd()))
	if !opts.givenTerminal() {
		spec.Process.Terminal = terminal && view.IsTerminal(a.Out)
	}
	if !opts.givenStdin() {
		spec.Process.Stdin = terminal || len(args) == 1
	}
	var err error
	if spec.Process.Env, err = flag.Env(opts.env, opts.envFiles, flag.ThisHost()); err != nil {
		return err
	}
	spec.CreateCommand = a.Args
	spec.Process.Entrypoint, spec.Process.Command = []string{}, command
	spec.Security.CapAdd = append(spec.Security.CapAdd, "SYS_PTRACE")
	spec.Storage.ImageVolume, spec.Log.Driver, spec.Remove = "ignore", "none", true
	if err := spec.Validate(); err != nil {
		return err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	images, err := a.Images(ctx)
	if err != nil {
		return err
	}
	if err := debugTarget(ctx, e, images, spec, name); err != nil {
		return err
	}
	img, err := debugTools(ctx, images, opts)
	if err != nil {
		return err
	}
	streams := attach.Streams{Out: a.Out, Err: a.Err}
	if spec.Process.Stdin {
		streams.In = a.In
	}
	out, err := e.Run(ctx, spec, img, &libpod.AttachOptions{Streams: streams, SigProxy: true}, nil)
	if err != nil {
		return err
	}
	return exitWith(out)
}

// debugTarget finds what is to be debugged: a container, else a local image.
func debugTarget(ctx context.Context, e *libpod.Engine, images cli.Images, spec *specgen.Container, name string) error {
	found, err := e.Debug(ctx, name, spec)
	if found || err != nil {
		return err
	}
	img, err := images.Resolve(ctx, name)
	if errors.Is(err, basic.ErrNoImage) {
		return fmt.Errorf("no container and no local image named %q: see `pod ps -a` and `pod images`", name)
	}
	if err != nil {
		return err
	}
	return e.DebugImage(img, spec)
}

// debugTools returns the image of tools: the user's, or the embedded one, which is
// put into the store when it is needed first.
func debugTools(ctx context.Context, images cli.Images, opts *debugOptions) (specgen.ImageConfig, error) {
	name := opts.tools
	if name == "" {
		var err error
		if name, err = images.EnsureTools(ctx); err != nil {
			return specgen.ImageConfig{}, err
		}
	}
	opts.spec.Image = name
	img, err := images.Resolve(ctx, name)
	if errors.Is(err, basic.ErrNoImage) {
		return img, fmt.Errorf("--tools %s: no such local image: pull it first (pod pull %s)", name, name)
	}
	return img, err
}

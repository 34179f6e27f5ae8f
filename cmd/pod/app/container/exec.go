package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
)

type execOptions struct {
	libpod.ExecOptions
	detach, latest bool
	detachKeys     string
	cidfile        string
	env, envFiles  []string
	wait           int32
	preserve       func() ([]uint, error)
}

func newExec(a *cli.App) *cobra.Command {
	var opts execOptions
	cmd := &cobra.Command{
		Use: "exec [options] CONTAINER COMMAND [ARG...]", Short: "Run a process in a running container",
		Long:    "Runs a command in a running container; its exit code becomes pod's.",
		Example: "  pod exec web ls /\n  pod exec -it web sh",
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	fs.StringVar(&opts.cidfile, "cidfile", "", "File to read the container ID from")
	fs.BoolVarP(&opts.detach, "detach", "d", false, "Run the exec session in detached mode (backgrounded)")
	fs.StringVar(&opts.detachKeys, "detach-keys", "ctrl-p,ctrl-q", "Select the key sequence for detaching a container")
	fs.StringArrayVarP(&opts.env, "env", "e", nil, "Set environment variables")
	fs.StringArrayVar(&opts.envFiles, "env-file", nil, "Read in a file of environment variables")
	fs.BoolVarP(&opts.Stdin, "interactive", "i", false, "Keep STDIN open even if not attached")
	fs.BoolVarP(&opts.latest, "latest", "l", false, "Act on the latest container")
	fs.BoolVar(&opts.Privileged, "privileged", false, "Give the process extended Linux capabilities inside the container")
	fs.BoolVarP(&opts.Terminal, "tty", "t", false, "Allocate a pseudo-TTY")
	fs.StringVarP(&opts.User, "user", "u", "", "Sets the username or UID used and optionally the groupname or GID for the specified command")
	fs.StringVarP(&opts.WorkDir, "workdir", "w", "", "Working directory inside the container")
	fs.BoolVar(&opts.NoSession, "no-session", false, "Keep no record of the exec session")
	fs.Int32Var(&opts.wait, "wait", 0, "Total seconds to wait for container to start")
	_ = fs.MarkHidden("wait")
	opts.preserve = flag.PreserveFDs(fs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runExec(cmd.Context(), a, &opts, args) }
	return cmd
}

func runExec(ctx context.Context, a *cli.App, opts *execOptions, args []string) error {
	name, command, err := execTarget(opts, args)
	if err != nil {
		return err
	}
	if opts.Env, err = flag.Env(opts.env, opts.envFiles, flag.ThisHost()); err != nil {
		return err
	}
	opts.Command = command
	if opts.PreserveFDs, err = opts.preserve(); err != nil {
		return err
	}
	if opts.NoSession && opts.detach {
		return errors.New("--no-session and --detach cannot be used together")
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if opts.latest {
		c, err := e.Latest(ctx)
		if err != nil {
			return err
		}
		name = c.ID
	}
	if err := awaitRunning(ctx, e, name, time.Duration(opts.wait)*time.Second); err != nil {
		return err
	}
	if opts.detach {
		out, err := e.Exec(ctx, name, opts.ExecOptions, nil)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.Out, out.ID)
		return nil
	}
	streams := attach.Streams{Out: a.Out, Err: a.Err}
	if opts.Stdin {
		streams.In = a.In
	}
	out, err := e.Exec(ctx, name, opts.ExecOptions, &libpod.AttachOptions{Streams: streams, DetachKeys: opts.detachKeys})
	if err != nil {
		return err
	}
	return exitWith(out)
}

// awaitRunning waits until a container runs that may not even exist yet.
func awaitRunning(ctx context.Context, e *libpod.Engine, name string, limit time.Duration) error {
	for end := time.Now().Add(limit); limit > 0; {
		if c, err := e.Lookup(ctx, name); err == nil && e.Status(c) == libpod.StatusRunning {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("timed out waiting for container: %s", name)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func execTarget(opts *execOptions, args []string) (name string, command []string, err error) {
	switch {
	case opts.latest:
		command = args
	case opts.cidfile != "":
		data, err := os.ReadFile(opts.cidfile)
		if err != nil {
			return "", nil, fmt.Errorf("read container id file: %w", err)
		}
		name, _, _ = strings.Cut(string(data), "\n")
		command = args
	case len(args) == 0:
		return "", nil, errors.New("exec requires the name or ID of a container or the --latest or --cidfile flag")
	default:
		name, command = args[0], args[1:]
	}
	if len(command) == 0 {
		return "", nil, errors.New("must provide a non-empty command to start an exec session: invalid argument")
	}
	return name, command, nil
}

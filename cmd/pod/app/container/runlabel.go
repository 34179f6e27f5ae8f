package container

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/specgen"
)

type runlabelOptions struct {
	authfile, certDir, creds, name, policy string
	tlsVerify, display, quiet, replace     bool
	opts                                   [3]string
}

func newRunlabel(a *cli.App) *cobra.Command {
	var opts runlabelOptions
	cmd := &cobra.Command{
		Use: "runlabel [options] LABEL IMAGE [ARG...]", Short: "Execute the command described by an image label",
		Long: "Executes the pod command that a label of an image describes, with ARGs behind it. The words IMAGE and NAME in it stand for " +
			"the image and the container's name.\nAn image must not choose what happens on the host: only commands on the image itself and its " +
			"container are executed, without privileges, devices, host paths or variables of the host. Others are shown, to be run by hand.",
		Example: "  pod container runlabel --display run quay.io/app\n  pod container runlabel run quay.io/app", Args: cobra.MinimumNArgs(2),
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	fs.StringVar(&opts.authfile, "authfile", "", "Path of the authentication file. Use REGISTRY_AUTH_FILE environment variable to override")
	fs.StringVar(&opts.certDir, "cert-dir", "", "`Pathname` of a directory containing TLS certificates and keys")
	fs.StringVar(&opts.creds, "creds", "", "`Credentials` (USERNAME:PASSWORD) to use for authenticating to a registry")
	fs.BoolVar(&opts.display, "display", false, "Preview the command that the label would run")
	fs.StringVarP(&opts.name, "name", "n", "", "Assign a name to the container")
	for i := range opts.opts {
		fs.StringVar(&opts.opts[i], fmt.Sprintf("opt%d", i+1), "", "Optional parameter to pass for install")
	}
	fs.BoolP("pull", "p", true, "Pull the image if it does not exist locally prior to executing the label contents")
	fs.BoolVarP(&opts.quiet, "quiet", "q", false, "Suppress output information when installing images")
	fs.BoolVar(&opts.replace, "replace", false, "Replace existing container with a new one from the image")
	fs.StringVar(&opts.policy, "signature-policy", "", "`Pathname` of signature policy file")
	fs.BoolVar(&opts.tlsVerify, "tls-verify", true, "Require HTTPS and verify certificates when contacting registries")
	for _, hidden := range []string{"opt1", "opt2", "opt3", "pull", "signature-policy"} {
		_ = fs.MarkHidden(hidden)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runRunlabel(cmd.Context(), a, cmd.Flags(), &opts, args)
	}
	return cmd
}

func runRunlabel(ctx context.Context, a *cli.App, fs *pflag.FlagSet, opts *runlabelOptions, args []string) error {
	label, name := args[0], args[1]
	img, err := opts.image(ctx, a, fs, name)
	if err != nil {
		return err
	}
	value := img.Labels[label]
	if value == "" {
		return fmt.Errorf("cannot find the value of label: %s in image: %s", label, name)
	}
	if opts.name == "" {
		opts.name, _, _ = strings.Cut(path.Base(name), ":")
		opts.name, _, _ = strings.Cut(opts.name, "@")
	}
	l := labelCommand{image: name, name: opts.name, opts: opts.opts}
	words, err := l.words(value)
	if err != nil {
		return fmt.Errorf("label %s of image %s: %w", label, name, err)
	}
	words = append(words, args[2:]...)
	if opts.display || !opts.quiet {
		fmt.Fprintln(a.Out, "command: "+strings.Join(append([]string{"pod"}, words...), " "))
	}
	if opts.display {
		return nil
	}
	target, err := l.check(words)
	if err != nil {
		return fmt.Errorf("label %s of image %s is not executed: %w; if you trust the image, run the command by hand (--display shows it)", label, name, err)
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	if err := ofImage(ctx, e, target, img.ID); err != nil {
		return err
	}
	if opts.replace {
		if _, err := e.Remove(ctx, opts.name, libpod.RemoveOptions{Force: true}); err != nil && !absent(err) {
			return err
		}
	}
	child := exec.CommandContext(ctx, e.Self[0], append(append([]string{}, e.Self[1:]...), words...)...)
	child.Stdin, child.Stdout, child.Stderr = a.In, a.Out, a.Err
	err = child.Run()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return &cli.Exit{Code: failed.ExitCode()} // it has said why
	}
	return err
}

func (o *runlabelOptions) image(ctx context.Context, a *cli.App, fs *pflag.FlagSet, name string) (specgen.ImageConfig, error) {
	images, err := a.Images(ctx)
	if err != nil {
		return specgen.ImageConfig{}, err
	}
	access := basic.Access{Authfile: o.authfile, CertDir: o.certDir, Creds: o.creds, SignaturePolicy: o.policy}
	pull := basic.PullOptions{Access: access, Quiet: o.quiet, Policy: "missing"}
	if fs.Changed("tls-verify") {
		pull.TLSVerify = &o.tlsVerify
	}
	if !o.quiet {
		pull.Progress = a.Err
	}
	return images.Ensure(ctx, name, pull)
}

// ofImage refuses a container of another image: its name may be chance.
func ofImage(ctx context.Context, e *libpod.Engine, container, imageID string) error {
	if container == "" {
		return nil
	}
	c, err := e.Lookup(ctx, container)
	if err != nil {
		return err
	}
	if c.ImageID != imageID {
		return fmt.Errorf("container %s is of another image: name the one that is meant with --name", container)
	}
	return nil
}

package pod

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/container"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func newCreate(a *cli.App) *cobra.Command {
	var spec specgen.Pod
	cmd := &cobra.Command{
		Use: "create [options] [NAME]", Short: "Create a new empty pod",
		Long: "Creates a pod and prints its id. Containers are put into it with `pod run --pod` or `pod create --pod`. " +
			"Its infra container holds what they share; it runs a small program that comes with pod, nothing is pulled.",
		Example: "  pod pod create shop\n  pod pod create --name shop -p 8080:80 --memory 1g --cpus 2",
		Args:    cobra.MaximumNArgs(1),
	}
	opts := flag.Pod(cmd.Flags(), &spec)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runCreate(cmd.Context(), a, &spec, opts, args)
	}
	return cmd
}

func runCreate(ctx context.Context, a *cli.App, spec *specgen.Pod, opts *flag.PodOptions, args []string) error {
	if len(args) > 0 {
		if spec.Name != "" && spec.Name != args[0] {
			return fmt.Errorf("cannot set --name %s and the name %s too: choose one", spec.Name, args[0])
		}
		spec.Name = args[0]
	}
	spec.CreateCommand = a.Args
	if err := opts.Finish(spec, flag.ThisHost()); err != nil {
		return err
	}
	conf, err := a.Config()
	if err != nil {
		return err
	}
	if !opts.ExitPolicy {
		spec.ExitPolicy = string(conf.Engine.PodExitPolicy)
	}
	if !opts.InfraImage && !spec.NoInfra {
		spec.InfraImage = conf.Engine.InfraImage
	}
	if err := spec.Validate(); err != nil {
		return err
	}
	p, err := container.MakePod(ctx, a, spec)
	if err != nil {
		return err
	}
	if err := writeID(a, opts.IDFile, p.ID); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, p.ID)
	return nil
}

func writeID(a *cli.App, path, id string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, []byte(id), a.FileMode()); err != nil {
		return fmt.Errorf("write pod ID file: %w", err)
	}
	return nil
}

type cloneOptions struct {
	spec           specgen.Pod
	start, destroy bool
}

func newClone(a *cli.App) *cobra.Command {
	var opts cloneOptions
	cmd := &cobra.Command{
		Use: "clone [options] POD [NAME]", Short: "Clone an existing pod",
		Long:    "Makes a new pod with the options of another one, and clones of its containers in it. What these have written is not copied.",
		Example: "  pod pod clone shop\n  pod pod clone --destroy --start --memory 2g shop shop2",
		Args:    cobra.RangeArgs(1, 2),
	}
	fs := cmd.Flags()
	flags := flag.ClonePod(fs, &opts.spec)
	fs.BoolVar(&opts.destroy, "destroy", false, "Destroy the original pod")
	fs.BoolVar(&opts.start, "start", false, "Start the new pod")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return runClone(cmd.Context(), a, &opts, flags, args)
	}
	return cmd
}

func runClone(ctx context.Context, a *cli.App, opts *cloneOptions, flags *flag.PodOptions, args []string) error {
	name := opts.spec.Name
	if len(args) > 1 {
		if name != "" && name != args[1] {
			return errors.New("cannot set --name and a second argument too: choose one")
		}
		name = args[1]
	}
	host := flag.ThisHost()
	host.LookupEnv = func(string) (string, bool) { return "", false } // the original's choices stay
	if err := flags.Finish(&opts.spec, host); err != nil {
		return err
	}
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	p, err := e.ClonePod(ctx, args[0], libpod.ClonePodOptions{
		Name: name, Start: opts.start, Destroy: opts.destroy, CreateCommand: a.Args, Image: a.MadeOf,
		Change: func(p *specgen.Pod) error { return flags.Over(p, &opts.spec) },
	})
	if err != nil {
		return cli.Many(flatten(err))
	}
	fmt.Fprintln(a.Out, p.ID)
	return nil
}

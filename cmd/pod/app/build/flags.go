package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.podman.io/buildah/define"
	buildahcli "go.podman.io/buildah/pkg/cli"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/build/isolation"
)

// flags is what `pod build` was told. The reference's flags and their meaning
// are buildah's own, which podman takes too; those of pod follow.
type flags struct {
	layers     buildahcli.LayerResults
	build      buildahcli.BudResults
	userns     buildahcli.UserNSResults
	run        buildahcli.FromAndBudResults
	namespaces buildahcli.NameSpaceResults

	squashAll bool
	progress  string
	plan      string
	verify    bool
}

// wanted says whether the command line is about a build. Building reads
// containers.conf for the defaults of its flags, which no other command has to
// wait for.
func wanted(args []string) bool {
	return len(args) < 2 || slices.Contains(args, "build")
}

// add puts the flags on cmd.
func (f *flags) add(cmd *cobra.Command) error {
	fs := cmd.Flags()
	layers := buildahcli.GetLayerFlags(&f.layers)
	build := buildahcli.GetBudFlags(&f.build)
	run, err := buildahcli.GetFromAndBudFlags(&f.run, &f.userns, &f.namespaces)
	if err != nil {
		return fmt.Errorf("read containers.conf: %w", err)
	}
	fs.AddFlagSet(&layers)
	fs.AddFlagSet(&build)
	fs.AddFlagSet(&run)
	fs.SetNormalizeFunc(buildahcli.AliasFlags)

	fs.BoolVar(&f.squashAll, "squash-all", false, "Squash all layers, those of the base image too, into one")
	fs.StringVar(&f.progress, "progress", "auto", "How to show the steps: auto, plain, tty, json, quiet")
	fs.StringVar(&f.plan, "plan", "text", "Print what would be built, and in which order, and build nothing: text, json or dot")
	fs.BoolVar(&f.verify, "verify", false, "Build twice, name what differs, and fail if anything does")
	fs.Lookup("plan").NoOptDefVal = planText
	// docker build --load puts the image into the local store, which is where
	// pod puts every image.
	fs.Bool("load", false, "Accepted for docker: an image is always put into the local store")
	if err := fs.MarkHidden("load"); err != nil {
		return fmt.Errorf("flag load: %w", err)
	}
	// Stages that do not need each other are built at the same time.
	if err := preset(cmd, "jobs", fmt.Sprint(runtime.NumCPU())); err != nil {
		return err
	}
	// What is asked for, or the best that works here.
	if os.Getenv("BUILDAH_ISOLATION") == "" {
		if err := preset(cmd, "isolation", isolation.Auto); err != nil {
			return err
		}
	}
	if os.Getenv("BUILDAH_LAYERS") == "" {
		if err := preset(cmd, "layers", "true"); err != nil {
			return err
		}
	}
	return preset(cmd, "force-rm", "true")
}

// check refuses what cannot be meant together.
func (f *flags) check(fs *pflag.FlagSet) error {
	if fs.Changed("squash-all") && fs.Changed("squash") {
		return errors.New("cannot specify --squash-all with --squash")
	}
	return nil
}

// controllerOf returns the cgroup controller that a flag wants; "" is for one that
// wants no more than a cgroup of the step's own.
func controllerOf(flag string) (controller string, limits bool) {
	switch flag {
	case "cgroup-parent":
		return "", true
	case "cpu-period", "cpu-quota", "cpu-shares":
		return "cpu", true
	case "cpuset-cpus", "cpuset-mems":
		return "cpuset", true
	case "memory", "memory-swap":
		return "memory", true
	}
	return "", false
}

// options makes buildah's options; the paths in remove go away after the build,
// whether it worked or not.
func (f *flags) options(ctx context.Context, a *cli.App, cmd *cobra.Command, src *source) (opts define.BuildOptions, remove []string, err error) {
	logfile, err := f.logfile()
	if err != nil {
		return opts, nil, err
	}
	opts, _, remove, err = buildahcli.GenBuildOptions(cmd, []string{src.dir}, buildahcli.BuildOptions{
		LayerResults: &f.layers, BudResults: &f.build, UserNSResults: &f.userns, FromAndBudResults: &f.run, NameSpaceResults: &f.namespaces,
		Logwriter: logfile,
	})
	if err != nil {
		return opts, remove, err //nolint:wrapcheck // it names the flag
	}
	// buildah warns of what no error says again, such as what a format has no place for.
	if logrus.GetLevel() == logrus.ErrorLevel {
		logrus.SetLevel(logrus.WarnLevel)
	}
	if opts.ConfidentialWorkload.Convert {
		if err := confidential(); err != nil {
			return opts, remove, err
		}
	}
	opts.Layers = f.layers.Layers
	// podman's --squash joins the new layers, which is buildah without layers;
	// --squash-all joins those of the base too, which is buildah's --squash.
	switch fs := cmd.Flags(); {
	case fs.Changed("squash") && f.build.Squash:
		opts.Squash, opts.Layers = false, false
	case f.squashAll:
		opts.Squash, opts.Layers = true, fs.Changed("layers") && f.layers.Layers
	}
	if logfile == nil {
		opts.Out, opts.Err, opts.ReportWriter = a.Out, a.Err, a.Err
	}
	if f.build.Stdin {
		opts.In = a.In
	}
	for _, flag := range a.Global.RuntimeFlags {
		opts.RuntimeArgs = append(opts.RuntimeArgs, "--"+flag)
	}
	return opts, remove, limit(ctx, a, cmd.Flags(), &opts)
}

// limit gives the steps a cgroup that can carry the limits asked for. Without one
// the runtime would go on and limit nothing.
func limit(ctx context.Context, a *cli.App, fs *pflag.FlagSet, opts *define.BuildOptions) (err error) {
	fs.Visit(func(f *pflag.Flag) {
		if controller, limits := controllerOf(f.Name); limits && err == nil {
			err = limitBy(ctx, a, f.Name, controller, opts)
		}
	})
	return err
}

func limitBy(ctx context.Context, a *cli.App, flag, controller string, opts *define.BuildOptions) error {
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	info, err := engine.Info(ctx)
	if err != nil {
		return err
	}
	switch {
	case info.CgroupManager == "":
		return fmt.Errorf("--%s needs a cgroup: %s", flag, info.Reduced)
	case controller != "" && !slices.Contains(info.Controllers, controller):
		return fmt.Errorf("--%s: the cgroup controller %s is not available: `pod doctor --check delegation` tells the remedy", flag, controller)
	case info.CgroupManager == "systemd" && !slices.Contains(opts.RuntimeArgs, "--systemd-cgroup"):
		opts.RuntimeArgs = append(opts.RuntimeArgs, "--systemd-cgroup")
	}
	return nil
}

func (f *flags) logfile() (*os.File, error) {
	if f.build.Logfile == "" {
		return nil, nil //nolint:nilnil // none was asked for
	}
	file, err := os.OpenFile(f.build.Logfile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--logfile: %w", err)
	}
	return file, nil
}

// preset gives a flag another default.
func preset(cmd *cobra.Command, name, value string) error {
	flag := cmd.Flags().Lookup(name)
	if err := flag.Value.Set(value); err != nil {
		return fmt.Errorf("flag %s: %w", name, err)
	}
	flag.DefValue = value
	return nil
}

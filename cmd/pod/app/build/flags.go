package build

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
	buildahcli "go.podman.io/buildah/pkg/cli"
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
	fs.StringVar(&f.progress, "progress", "auto", "How to show the steps: auto, plain, tty, json")
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
	if os.Getenv("BUILDAH_LAYERS") == "" {
		if err := preset(cmd, "layers", "true"); err != nil {
			return err
		}
	}
	return preset(cmd, "force-rm", "true")
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

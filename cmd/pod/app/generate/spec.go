package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

type specOptions struct {
	compact, name bool
	filename      string
}

func newSpec(a *cli.App) *cobra.Command {
	var opts specOptions
	cmd := &cobra.Command{
		Use: "spec [options] {CONTAINER|POD}", Short: "Generate Specgen JSON based on container or pod",
		Long:    "Prints the description of a container as JSON: the body with which the REST interface makes one like it.",
		Example: "  pod generate spec web\n  pod generate spec --compact --filename web.json web", Args: cobra.ExactArgs(1),
	}
	fs := cmd.Flags()
	fs.BoolVarP(&opts.compact, "compact", "c", false, "Print the json in a compact format for consumption")
	fs.StringVarP(&opts.filename, "filename", "f", "", "Write output to the specified path")
	fs.BoolVarP(&opts.name, "name", "n", true, "Specify a new name for the generated spec")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runSpec(cmd.Context(), a, opts, args[0]) }
	return cmd
}

func runSpec(ctx context.Context, a *cli.App, opts specOptions, name string) error {
	e, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	spec, err := describe(ctx, e, name, opts.name)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(spec, "", "    ")
	if opts.compact {
		data, err = json.Marshal(spec)
	}
	if err != nil {
		return fmt.Errorf("encode the description of %s: %w", name, err)
	}
	data = append(data, '\n')
	if opts.filename == "" {
		_, err = a.Out.Write(data)
		return err
	}
	if err := os.WriteFile(opts.filename, data, a.FileMode()); err != nil {
		return fmt.Errorf("write %s: %w", opts.filename, errors.Unwrap(err))
	}
	fmt.Fprintln(a.Out, opts.filename)
	return nil
}

// describe finds the container, or else the pod; named gives what is made of the
// description a name that is free.
func describe(ctx context.Context, e *libpod.Engine, name string, named bool) (any, error) {
	c, err := e.Lookup(ctx, name)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return describePod(ctx, e, name, named)
	}
	if err != nil {
		return nil, err
	}
	spec := c.Spec.Generate()
	if spec.Name = ""; named {
		spec.Name, err = e.CloneName(ctx, c.Name)
	}
	return spec, err
}

func describePod(ctx context.Context, e *libpod.Engine, name string, named bool) (any, error) {
	p, err := e.LookupPod(ctx, name)
	var absent state.ErrNoPod
	if errors.As(err, &absent) {
		return nil, fmt.Errorf("could not find a pod or container with the id or name %s: `pod ps -a` and `pod pod ps` list them", name)
	}
	if err != nil {
		return nil, err
	}
	spec := p.Spec.Generate()
	if spec.Name = ""; named {
		spec.Name, err = e.PodCloneName(ctx, p.Name)
	}
	return spec, err
}

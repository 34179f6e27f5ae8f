package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
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
	c, err := e.Lookup(ctx, name)
	if err != nil {
		return err
	}
	spec := c.Spec.Generate()
	spec.Name = ""
	if opts.name {
		spec.Name, err = freeName(ctx, a, c.Name)
		if err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(spec, "", "    ")
	if opts.compact {
		data, err = json.Marshal(spec)
	}
	if err != nil {
		return fmt.Errorf("encode the description of %s: %w", c.Name, err)
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

// freeName is the name for the container that is made of the description.
func freeName(ctx context.Context, a *cli.App, name string) (string, error) {
	e, err := a.Engine(ctx)
	if err != nil {
		return "", err
	}
	return e.CloneName(ctx, name)
}

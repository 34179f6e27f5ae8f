package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.podman.io/common/libnetwork/types"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

type inspectOptions struct {
	format       string
	latest, size bool
	kind         string
}

func (o *inspectOptions) flags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVarP(&o.format, "format", "f", "json", "Format the output to a Go template or json")
	flag.Latest(fs, &o.latest)
	fs.BoolVarP(&o.size, "size", "s", false, "Display total file size")
}

// newInspect is the inspect of all kinds of objects.
func newInspect(a *cli.App) *cobra.Command {
	var opts inspectOptions
	cmd := &cobra.Command{
		Use: "inspect [options] {ARTIFACT|CONTAINER|IMAGE|NETWORK|POD|VOLUME} [...]", Short: "Display the configuration of object denoted by ID",
		Long:    "Prints all about objects as JSON, or what --format asks for. A name means a container first, then an image, a volume, a network, a pod, and an artifact.",
		Example: "  pod inspect web\n  pod inspect --type image alpine\n  pod inspect --format '{{.State.Status}}' web",
	}
	opts.flags(cmd)
	cmd.Flags().StringVarP(&opts.kind, "type", "t", "all", "Specify inspect-object `type`: all, "+strings.Join(kinds(), ", "))
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), a, &opts, args) }
	return cmd
}

// newContainerInspect is the inspect of containers alone.
func newContainerInspect(a *cli.App) *cobra.Command {
	opts := inspectOptions{kind: "container"}
	cmd := &cobra.Command{
		Use: "inspect [options] CONTAINER [CONTAINER...]", Short: "Display the configuration of a container",
		Long:    "Prints all about containers as JSON, or what --format asks for.",
		Example: "  pod container inspect web\n  pod container inspect --size --format '{{.SizeRw}}' web",
	}
	opts.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), a, &opts, args) }
	return cmd
}

func (o *inspectOptions) check(args []string) error {
	if o.kind != "all" && !slices.Contains(kinds(), o.kind) {
		return fmt.Errorf("invalid type %q: use all, %s", o.kind, strings.Join(kinds(), ", "))
	}
	onContainers := o.kind == "all" || o.kind == "container"
	switch {
	case o.latest && len(args) > 0:
		return errors.New("--latest and arguments cannot be used together")
	case o.latest && !onContainers:
		return fmt.Errorf("--latest cannot be used with --type %s", o.kind)
	case o.size && !onContainers:
		return fmt.Errorf("--size cannot be used with --type %s", o.kind)
	case len(args) == 0 && !o.latest:
		return errors.New("you must provide at least one name or id, or --latest")
	}
	return nil
}

func runInspect(ctx context.Context, a *cli.App, opts *inspectOptions, names []string) error {
	if err := opts.check(names); err != nil {
		return err
	}
	if opts.latest {
		e, err := a.Engine(ctx)
		if err != nil {
			return err
		}
		c, err := e.Latest(ctx)
		if err != nil {
			return err
		}
		names, opts.kind = []string{c.ID}, "container"
	}
	found := []any{}
	var failed cli.Many
	for _, name := range names {
		object, err := opts.object(ctx, a, name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		found = append(found, object)
	}
	// What was found is shown, whatever else was not.
	if err := output.Values(a.Out, found, opts.format); err != nil {
		return err
	}
	if len(failed) > 0 {
		return failed
	}
	return nil
}

// kinds are what a name can mean, in the order in which it is tried.
func kinds() []string {
	return []string{"container", "image", "volume", "network", "pod", "artifact"}
}

// object is all about what name means.
func (o *inspectOptions) object(ctx context.Context, a *cli.App, name string) (any, error) {
	if o.kind != "all" {
		object, _, err := o.one(ctx, a, o.kind, name)
		return object, err
	}
	for _, kind := range kinds() {
		if object, none, err := o.one(ctx, a, kind, name); !none {
			return object, err
		}
	}
	return nil, fmt.Errorf("no such object: %q", name)
}

// one is all about the object of a kind; none says that there is no such one.
func (o *inspectOptions) one(ctx context.Context, a *cli.App, kind, name string) (object any, none bool, err error) {
	e, err := a.Engine(ctx)
	if err != nil {
		return nil, false, err
	}
	switch kind {
	case "container":
		c, err := e.Inspect(ctx, name, o.size)
		object, err = orNothing(c, err)
		return object, absent(err), err
	case "volume":
		v, err := e.InspectVolume(ctx, name)
		object, err = orNothing(v, err)
		var absent state.ErrNoVolume
		return object, errors.As(err, &absent), err
	case "network":
		n, err := e.InspectNetwork(ctx, name)
		object, err = orNothing(n, err)
		return object, errors.Is(err, types.ErrNoSuchNetwork), err
	case "pod":
		p, err := e.InspectPod(ctx, name)
		object, err = orNothing(p, err)
		var absent state.ErrNoPod
		return object, errors.As(err, &absent), err
	}
	return a.Parts.Inspect(ctx, a, kind, name)
}

// orNothing keeps a nil pointer from becoming an object.
func orNothing[T any](object *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return object, nil
}

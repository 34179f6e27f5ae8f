package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.podman.io/image/v5/docker/reference"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/output"
	"github.com/rootless-pod/pod/pkg/image"
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
		Use: "inspect [options] {CONTAINER|IMAGE|POD|VOLUME} [...]", Short: "Display the configuration of object denoted by ID",
		Long:    "Prints all about containers, images, volumes or pods as JSON, or what --format asks for. A name means a container first, then an image, a volume, and a pod.",
		Example: "  pod inspect web\n  pod inspect --type image alpine\n  pod inspect --format '{{.State.Status}}' web",
	}
	opts.flags(cmd)
	cmd.Flags().StringVarP(&opts.kind, "type", "t", "all", "Specify inspect-object `type`: all, container, image, pod, volume")
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
	switch o.kind {
	case "all", "container", "image", "pod", "volume":
	case "artifact", "network":
		return fmt.Errorf("--type %s is not supported yet: use all, container, image, pod or volume", o.kind)
	default:
		return fmt.Errorf("invalid type %q: use all, container, image, pod or volume", o.kind)
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

// object is all about what name means.
func (o *inspectOptions) object(ctx context.Context, a *cli.App, name string) (any, error) {
	e, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	var noVolume state.ErrNoVolume
	if o.kind == "all" || o.kind == "container" {
		c, err := e.Inspect(ctx, name, o.size)
		if err == nil || o.kind == "container" || !absent(err) {
			return orNothing(c, err)
		}
	}
	if o.kind == "all" || o.kind == "image" {
		images, err := a.Images(ctx)
		if err != nil {
			return nil, err
		}
		img, err := images.Inspect(ctx, name)
		if err == nil || o.kind == "image" || !noImage(err) {
			return orNothing(img, err)
		}
	}
	if o.kind == "all" || o.kind == "volume" {
		v, err := e.InspectVolume(ctx, name)
		if err == nil || o.kind == "volume" || !errors.As(err, &noVolume) {
			return orNothing(v, err)
		}
	}
	p, err := e.InspectPod(ctx, name)
	var noPod state.ErrNoPod
	if errors.As(err, &noPod) && o.kind == "all" {
		return nil, fmt.Errorf("no such object: %q", name)
	}
	return orNothing(p, err)
}

// noImage says that no image can have the name, or none has it.
func noImage(err error) bool {
	return errors.Is(err, image.ErrNoImage) || errors.Is(err, reference.ErrReferenceInvalidFormat) ||
		errors.Is(err, reference.ErrNameContainsUppercase)
}

// orNothing keeps a nil pointer from becoming an object.
func orNothing[T any](object *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return object, nil
}

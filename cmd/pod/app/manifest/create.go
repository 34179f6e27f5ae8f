package manifest

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/pkg/image/manifestlist"
)

type createOptions struct {
	manifestlist.CreateOptions
	registry    registry.Flags
	annotations func() (map[string]string, error)
}

func newCreate(a *cli.App) *cobra.Command {
	opts := &createOptions{}
	cmd := &cobra.Command{
		Use:   "create [options] LIST [IMAGE...]",
		Short: "Create a manifest list or image index",
		Long: "Make a list of images under a name, and print its id. An image is looked for at the registry in its name,\n" +
			"then among the local ones, unless a transport says where it is. Nothing is made if one is not found.",
		Example: "  pod manifest create app:v1\n  pod manifest create app:v1 containers-storage:localhost/app:amd64 docker://registry.example/app:arm64",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runCreate(cmd.Context(), a, opts, args)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&opts.All, "all", false, "Add all of the lists' images if the images to add are lists")
	fs.BoolVarP(&opts.Amend, "amend", "a", false, "Modify an existing list if one with the desired name already exists")
	opts.annotations = flag.Annotations(fs, "Set an annotation of the list: KEY=VALUE")
	opts.registry.AddTLS(fs)
	opts.registry.AddInsecure(fs)
	return cmd
}

func runCreate(ctx context.Context, a *cli.App, opts *createOptions, args []string) (err error) {
	if err := named(args); err != nil {
		return err
	}
	if opts.Access, err = opts.registry.Access(); err != nil {
		return err
	}
	if opts.Annotations, err = opts.annotations(); err != nil {
		return err
	}
	store, err := lists(ctx, a)
	if err != nil {
		return err
	}
	id, err := store.Create(ctx, args[0], args[1:], opts.CreateOptions)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Out, id)
	return nil
}

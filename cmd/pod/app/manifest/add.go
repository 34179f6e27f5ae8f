package manifest

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/cmd/pod/app/flag"
	"github.com/rootless-pod/pod/cmd/pod/app/flag/registry"
	"github.com/rootless-pod/pod/pkg/image/manifestlist"
)

type addOptions struct {
	registry    registry.Flags
	annotations func() (map[string]string, error)
	instance    manifestlist.Instance
	all         bool
	// artifact says that files are added; the fields below are for them.
	artifact     bool
	files        manifestlist.ArtifactOptions
	artifactType string
	fs           *pflag.FlagSet
}

func newAdd(a *cli.App) *cobra.Command {
	opts := &addOptions{}
	cmd := &cobra.Command{
		Use:   "add [options] LIST IMAGEORARTIFACT [IMAGEORARTIFACT...]",
		Short: "Add images or artifacts to a manifest list or image index",
		Long: "Add images, or with --artifact files, to a local list, and print its id. An image is looked for at the\n" +
			"registry in its name, then among the local ones, unless a transport says where it is. All are added, or\n" +
			"none. Files are read again when the list is pushed.",
		Example: "  pod manifest add app:v1 docker://registry.example/app:arm64\n  pod manifest add --all app:v1 docker://registry.example/base\n" +
			"  pod manifest add --artifact --artifact-type application/spdx+json app:v1 sbom.json",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runAdd(cmd.Context(), a, opts, args)
		},
	}
	fs := cmd.Flags()
	opts.fs = fs
	fs.BoolVar(&opts.all, "all", false, "Add all of the list's images if the image is a list")
	opts.annotations = flag.Annotations(fs, "Set an `annotation` for the specified image or artifact: KEY=VALUE")
	platform(fs, &opts.instance)
	fs.BoolVar(&opts.artifact, "artifact", false, "Add all arguments as artifact files rather than as images")
	fs.StringVar(&opts.files.Config, "artifact-config", "", "Artifact configuration file")
	fs.StringVar(&opts.files.ConfigType, "artifact-config-type", "", "Artifact configuration media type")
	fs.BoolVar(&opts.files.ExcludeTitles, "artifact-exclude-titles", false, "Refrain from setting \"org.opencontainers.image.title\" annotations on \"layers\"")
	fs.StringVar(&opts.files.LayerType, "artifact-layer-type", "", "Artifact layer media type")
	fs.StringVar(&opts.files.Subject, "artifact-subject", "", "Artifact subject reference")
	fs.StringVar(&opts.artifactType, "artifact-type", "", "Override the artifact type value")
	opts.registry.Add(fs)
	opts.registry.AddInsecure(fs)
	return cmd
}

func runAdd(ctx context.Context, a *cli.App, opts *addOptions, args []string) error {
	if err := named(args); err != nil {
		return err
	}
	if err := opts.check(); err != nil {
		return err
	}
	access, err := opts.registry.Access()
	if err != nil {
		return err
	}
	if opts.instance.Annotations, err = opts.annotations(); err != nil {
		return err
	}
	store, err := lists(ctx, a)
	if err != nil {
		return err
	}
	id := ""
	if opts.artifact {
		opts.files.Access, opts.files.Instance = access, opts.instance
		if opts.fs.Changed("artifact-type") {
			opts.files.Type = &opts.artifactType
		}
		id, err = store.AddArtifact(ctx, args[0], args[1:], opts.files)
	} else {
		id, err = store.Add(ctx, args[0], args[1:], manifestlist.AddOptions{Access: access, All: opts.all, Instance: opts.instance})
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(a.Out, id)
	return nil
}

// check refuses flags for artifacts when images are added.
func (o *addOptions) check() error {
	if o.artifact {
		if o.all {
			return fmt.Errorf("--all is for lists of images: leave out --artifact")
		}
		return nil
	}
	var given []string
	o.fs.Visit(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, "artifact-") {
			given = append(given, "--"+f.Name)
		}
	})
	switch len(given) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s requires --artifact", given[0])
	}
	return fmt.Errorf("%s require --artifact", strings.Join(given, "/"))
}

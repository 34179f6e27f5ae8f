// Package manifest holds the commands on manifest lists: images for several
// platforms under one name.
package manifest

import (
	"context"
	"errors"
	"slices"

	"github.com/rootless-pod/pod/cmd/pod/app/library"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/image/manifestlist"
)

// Commands returns `pod manifest …`; there are no top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "manifest", Short: "Manipulate manifest lists and image indexes",
		Long: "Make, change, show and push lists of images for several platforms (docker's manifest lists, OCI's image\n" +
			"indexes).",
		Example: "  pod manifest create app:v1 app:v1-amd64 app:v1-arm64\n  pod manifest push app:v1 registry.example/team/app:v1",
		Args:    cobra.NoArgs,
		RunE:    cli.MissingCommand,
	}
	return a.Group(group, cli.Verbs{
		"add": newAdd, "annotate": newAnnotate, "create": newCreate, "exists": newExists, "inspect": newInspect, "push": newPush, "remove": newRemove,
		"rm": newRm,
	}), nil
}

// lists opens the lists of the image store.
func lists(ctx context.Context, a *cli.App) (*manifestlist.Store, error) {
	images, err := library.Images(ctx, a)
	if err != nil {
		return nil, err
	}
	return manifestlist.New(images), nil
}

// platform adds the flags that say what a list tells of an image.
func platform(fs *pflag.FlagSet, to *manifestlist.Instance) {
	fs.StringVar(&to.Arch, "arch", "", "Override the `architecture` of the specified image")
	fs.StringSliceVar(&to.Features, "features", nil, "Override the `features` of the specified image")
	fs.StringVar(&to.OS, "os", "", "Override the `OS` of the specified image")
	fs.StringVar(&to.OSVersion, "os-version", "", "Override the OS `version` of the specified image")
	fs.StringVar(&to.Variant, "variant", "", "Override the `Variant` of the specified image")
}

// errNoList is for an empty name, which the libraries take for anything.
var errNoList = errors.New("a manifest list's name is missing")

// named refuses empty names.
func named(args []string) error {
	if slices.Contains(args, "") {
		return errNoList
	}
	return nil
}

// Package image holds the commands on images, in their image form and as
// top-level commands.
package image

import (
	"context"
	"errors"
	"maps"
	"os"

	"github.com/spf13/cobra"

	"github.com/rootless-pod/pod/cmd/pod/app/build"
	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
)

// Commands returns `pod image …` and the top-level forms.
func Commands(a *cli.App) (*cobra.Command, []*cobra.Command) {
	group := &cobra.Command{
		Use: "image", Short: "Manage images", Long: "Manage images: bring them here, list, name, save and remove them.",
		Example: "  pod image ls\n  pod image prune --all", Args: cobra.NoArgs,
		RunE: cli.MissingCommand,
	}
	top := cli.Verbs{
		"history": newHistory, "import": newImport, "load": newLoad, "pull": newPull, "push": newPush, "save": newSave, "search": newSearch, "tag": newTag,
		"untag": newUntag,
	}
	below := maps.Clone(top)
	maps.Copy(below, cli.Verbs{
		"build": build.New, "diff": newDiff, "exists": newExists, "inspect": newInspect, "prune": newPrune, "ls": cli.With(newList, "list"), "mount": newMount,
		"rm": cli.With(newRm, "rm"), "scp": newScp, "tree": newTree, "sign": newSign, "trust": newTrust, "unmount": newUnmount,
	})
	maps.Copy(top, cli.Verbs{"buildx": newBuildx, "images": cli.With(newList, "images"), "rmi": cli.With(newRm, "rmi")})
	return a.Group(group, below), a.Top(top)
}

// record writes an event about an image.
func record(a *cli.App, status events.Status, id, name string) {
	a.Record(events.Image, status, id, name)
}

// recordNamed is record for an image of which only the name is known.
func recordNamed(ctx context.Context, a *cli.App, images *image.Store, status events.Status, name string) {
	id := ""
	if config, err := images.Resolve(ctx, name); err == nil {
		id = config.ID
	}
	record(a, status, id, name)
}

// terminal says whether f is a terminal.
func terminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Mode()&os.ModeDevice != 0 && file.Name() != os.DevNull
}

// failed joins the errors of several objects.
func failed(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return cli.Many(errs)
}

// absentOrUsed gives the exit code for errors of removal.
func absentOrUsed(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	code := cli.CodeNoImage
	for _, err := range errs {
		switch {
		case errors.Is(err, image.ErrInUse):
			return &cli.Exit{Code: cli.CodeImageInUse, Err: cli.Many(errs)}
		case !errors.Is(err, image.ErrNoImage):
			code = cli.CodeFailure
		}
	}
	return &cli.Exit{Code: code, Err: cli.Many(errs)}
}

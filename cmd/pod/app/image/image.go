// Package image holds the commands on images, in their image form and as
// top-level commands.
package image

import (
	"context"
	"errors"
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
	group.AddCommand(build.New(a), newDiff(a), newExists(a), newInspect(a), newPrune(a), newList(a, "list"), newMount(a), newRm(a, "rm"),
		newScp(a), newTree(a), newSign(a), newTrust(a), newUnmount(a))
	aliases := []*cobra.Command{newBuildx(a), newList(a, "images"), newRm(a, "rmi")}
	for _, both := range []func(*cli.App) *cobra.Command{newHistory, newImport, newLoad, newPull, newPush, newSave, newSearch, newTag, newUntag} {
		group.AddCommand(both(a))
		aliases = append(aliases, both(a))
	}
	return group, aliases
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
	code := 1
	for _, err := range errs {
		switch {
		case errors.Is(err, image.ErrInUse):
			return &cli.Exit{Code: 2, Err: cli.Many(errs)}
		case !errors.Is(err, image.ErrNoImage):
			code = cli.CodeFailure
		}
	}
	return &cli.Exit{Code: code, Err: cli.Many(errs)}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/settings"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// images are those that are here and plainly named. Commands ask for them before they
// have done anything, so for all others pod can begin again in this process.
type images struct {
	*basic.Images
	app *cli.App
}

func openImages(a *cli.App, store *storage.Store) (cli.Images, error) {
	return &images{basic.New(store, a.Log), a}, nil
}

// Ensure implements cli.Images.
func (i *images) Ensure(_ context.Context, name string, opts basic.PullOptions) (specgen.ImageConfig, error) {
	if opts.Here() {
		if img, ok, err := i.Find(name); err == nil && ok {
			i.MarkUsed(img.ID)
			return i.Config(img, name)
		}
	}
	return specgen.ImageConfig{}, handOver(i.app)
}

// Resolve implements libpod.Images. It comes late, when something may have been done
// already: a child tells which image a name means that is not plain.
func (i *images) Resolve(ctx context.Context, name string) (specgen.ImageConfig, error) {
	img, ok, err := i.Find(name)
	if err == nil && !ok {
		var id string
		if id, err = i.ask(ctx, "image", "inspect", "--format", "{{.Id}}", name); err == nil {
			img, ok, err = i.Find(id)
		}
	}
	switch {
	case err != nil:
		return specgen.ImageConfig{}, err
	case !ok: // it was removed meanwhile
		return specgen.ImageConfig{}, basic.NoImage(name)
	}
	return i.Config(img, name)
}

// RemoveUnused implements libpod.Images: a child does it, since the container's command
// is not over.
func (i *images) RemoveUnused(ctx context.Context, id, name string) error {
	if name == "" {
		name = id
	}
	_, err := i.ask(ctx, "rmi", name)
	var exit *exec.ExitError
	if errors.As(err, &exit) && (exit.ExitCode() == cli.CodeNoImage || exit.ExitCode() == cli.CodeImageInUse) {
		return nil
	}
	return err
}

// ask returns what a command of pod's prints; its error says what that complained of.
func (i *images) ask(ctx context.Context, args ...string) (string, error) {
	self, err := i.app.Self()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, self[0], append(self[1:], args...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%s (%w)", strings.TrimPrefix(strings.TrimSpace(string(exit.Stderr)), "Error: "), err)
	}
	return strings.TrimSpace(string(out)), err
}

// TopLayer implements libpod.Images.
func (i *images) TopLayer(context.Context, string) (string, error) { return "", handOver(i.app) }

// EnsureTools implements cli.Images.
func (i *images) EnsureTools(context.Context) (string, error) { return "", handOver(i.app) }

// Wrote implements cli.Images.
func (*images) Wrote() bool { return false }

// Close implements cli.Images.
func (*images) Close() error { return nil }

// inspect leaves images and artifacts to pod: nothing is printed before all is found.
func inspect(_ context.Context, a *cli.App, _, _ string) (object any, none bool, err error) {
	return nil, false, handOver(a)
}

// collect has nothing to do where no image is brought.
func collect(context.Context, *cli.App, settings.GC) error { return nil }

// begin leaves containers that are to be updated to pod: whether their image can be
// asked for, its library knows.
func begin(a *cli.App, spec *specgen.Container) error {
	if _, ok := spec.Labels[policy.Label]; ok {
		return handOver(a)
	}
	return nil
}

// checkUpdates is not reached: see begin.
func checkUpdates(string) error { return errors.ErrUnsupported }

// handOver has pod do the command, in this process, and returns only if that fails.
func handOver(a *cli.App) error {
	return fmt.Errorf("leave the command to the whole program: %w", rootless.HandOver(a.Entry(), a.Args))
}

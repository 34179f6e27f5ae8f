// Package library is what commands have in common that work with the image library:
// opening images, removing them, and the parts of the program that need it.
package library

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.podman.io/image/v5/docker/reference"

	"github.com/rootless-pod/pod/cmd/pod/app/cli"
	"github.com/rootless-pod/pod/internal/step"
	update "github.com/rootless-pod/pod/pkg/autoupdate/reference"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/filecopy/transfer"
	"github.com/rootless-pod/pod/pkg/gc"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/image/artifact"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/settings"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Parts are those of a program that links the image library.
func Parts() cli.Parts {
	return cli.Parts{
		Images: open, Inspect: inspect, Collect: collect, Files: transfer.Files{}, CheckUpdates: update.Check,
	}
}

func open(a *cli.App, store *storage.Store) (cli.Images, error) {
	images, err := image.New(store, image.Options{RegistriesConf: a.Global.RegistriesConf, Log: a.Log, Bulk: a.SmallHeap})
	if err != nil {
		return nil, err
	}
	return images, nil
}

// Images is the store of images of a.
func Images(ctx context.Context, a *cli.App) (*image.Store, error) {
	images, err := a.Images(ctx)
	if err != nil {
		return nil, err
	}
	store, ok := images.(*image.Store)
	if !ok {
		return nil, fmt.Errorf("images: this program has %T", images)
	}
	return store, nil
}

func inspect(ctx context.Context, a *cli.App, kind, name string) (object any, none bool, err error) {
	images, err := Images(ctx, a)
	if err != nil {
		return nil, false, err
	}
	if kind == "image" {
		img, err := images.Inspect(ctx, name)
		if err != nil {
			return nil, noImage(err), err
		}
		return img, false, nil
	}
	found, err := artifact.New(images, a.Log).Find(ctx, name)
	if err != nil {
		return nil, errors.Is(err, artifact.ErrUnknown) || noImage(err), err
	}
	return struct{ *artifact.Artifact }{found}, false, nil
}

// noImage says that no image can have the name, or none has it.
func noImage(err error) bool {
	return errors.Is(err, image.ErrNoImage) || errors.Is(err, reference.ErrReferenceInvalidFormat) ||
		errors.Is(err, reference.ErrNameContainsUppercase)
}

func collect(ctx context.Context, a *cli.App, policy settings.GC) error {
	images, err := Images(ctx, a)
	if err != nil {
		return err
	}
	return gc.After(ctx, gc.Options{
		Policy: policy, Images: images,
		Engine: func() (*libpod.Engine, error) { return a.Engine(ctx) },
		Removed: func(id string) {
			if log, err := a.Events(); err == nil {
				_ = log.Write(events.Event{Type: events.Image, Status: events.Remove, ID: id, Name: id})
			}
		},
		Say: func(line string) { fmt.Fprintln(a.LogErr, line) },
	})
}

// Remove removes images, or lists of images, one after the other, so that
// each can be tried again when the disk is full and the reserve was given up for
// it. It says what is gone; failed are the errors of the single ones.
func Remove(ctx context.Context, a *cli.App, opts image.RemoveOptions, names []string) (failed []error, err error) {
	images, err := Images(ctx, a)
	if err != nil {
		return nil, err
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, err
	}
	groups := [][]string{nil} // all
	if !opts.All {
		groups = slices.Collect(slices.Chunk(names, 1))
	}
	for _, group := range groups {
		var removed []image.Removed
		var errs []error
		_ = engine.WithReserve(func() error { // its error is among errs
			return step.Do(ctx, "image.remove", func() error {
				var gone []image.Removed
				gone, errs = images.Remove(ctx, group, opts)
				removed = append(removed, gone...)
				return errors.Join(errs...)
			})
		})
		report(a, removed)
		failed = append(failed, errs...)
	}
	return failed, nil
}

func report(a *cli.App, removed []image.Removed) {
	for _, img := range removed {
		for _, name := range img.Untagged {
			a.Record(events.Image, events.Untag, img.ID, name)
			fmt.Fprintln(a.Out, "Untagged: "+name)
		}
		if img.Deleted {
			a.Record(events.Image, events.Remove, img.ID, img.ID)
			fmt.Fprintln(a.Out, "Deleted: "+img.ID)
		}
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// RemoveImages removes images, or lists of images, one after the other, so that
// each can be tried again when the disk is full and the reserve was given up for
// it. It says what is gone; failed are the errors of the single ones.
func (a *App) RemoveImages(ctx context.Context, opts image.RemoveOptions, names []string) (failed []error, err error) {
	images, err := a.Images(ctx)
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
		a.reportRemoved(removed)
		failed = append(failed, errs...)
	}
	return failed, nil
}

func (a *App) reportRemoved(removed []image.Removed) {
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

// MadeOf returns the configuration of the image that a container was made of, by
// its id, or if it is gone, of the one that has its name now, which may be pulled.
func (a *App) MadeOf(ctx context.Context, id, name string) (specgen.ImageConfig, error) {
	images, err := a.Images(ctx)
	if err != nil {
		return specgen.ImageConfig{}, err
	}
	if img, err := images.Resolve(ctx, id); err == nil {
		img.Name = name
		return img, nil
	}
	return images.Ensure(ctx, name, image.PullOptions{Progress: a.Err})
}

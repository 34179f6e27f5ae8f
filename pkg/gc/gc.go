package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	units "github.com/docker/go-units"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/settings"
)

// Options say what After works on.
type Options struct {
	Policy settings.GC
	Images *image.Store
	// Engine is opened if containers or volumes may go.
	Engine func() (*libpod.Engine, error)
	// Removed hears of each image that went.
	Removed func(id string)
	// Say takes the one line for the user; nothing is said if nothing went.
	Say func(line string)
}

// rounds bounds the work: what an image was built on is unneeded one round later.
const rounds = 64

// After applies the policy, after images were brought or built. Without a policy
// it costs nothing.
func After(ctx context.Context, o Options) error {
	if !o.Policy.Active() {
		return nil
	}
	var gone []Item
	var errs []error
	for range rounds {
		before := len(gone)
		items, disk, err := survey(ctx, &o)
		if err != nil {
			errs = append(errs, err)
			break
		}
		for _, item := range Plan(items, disk, &o.Policy, time.Now()) {
			err := step.Do(ctx, "gc.remove", func() error { return remove(ctx, &o, &item) })
			switch {
			case errors.Is(err, image.ErrInUse):
			case err != nil:
				errs = append(errs, err)
			default:
				gone = append(gone, item)
			}
		}
		if len(gone) == before || len(errs) > 0 {
			break
		}
	}
	if len(gone) > 0 {
		o.Say(summary(gone))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean up as [gc] of pod.toml says: %w", err)
	}
	return nil
}

// survey tells what may go now, and how the disk stands.
func survey(ctx context.Context, o *Options) ([]Item, Disk, error) {
	disk := Disk{Holders: map[string]int{}}
	images, layers, err := o.Images.Holdings(ctx)
	if err != nil {
		return nil, disk, err
	}
	disk.Layers = layers
	var items []Item
	for i := range images {
		h := &images[i]
		disk.Images += h.Own
		for _, layer := range h.Layers {
			if disk.Holders[layer]++; disk.Holders[layer] == 1 {
				disk.Images += layers[layer]
			}
		}
		if len(h.Containers) == 0 && (h.Dangling || len(h.Names) > 0) {
			items = append(items, Item{Kind: Image, ID: h.ID, LastUsed: h.LastUsed, Named: len(h.Names) > 0, Own: h.Own, Layers: h.Layers})
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(o.Images.Storage().Root(), &fs); err != nil {
		return nil, disk, fmt.Errorf("statfs %s: %w", o.Images.Storage().Root(), err)
	}
	disk.Free = int64(fs.Bavail) * fs.Bsize //nolint:gosec // no disk is that large
	if !o.Policy.Containers && !o.Policy.Volumes {
		return items, disk, nil
	}
	more, err := surveyEngine(ctx, o)
	return append(items, more...), disk, err
}

// surveyEngine adds containers at rest and volumes without users.
func surveyEngine(ctx context.Context, o *Options) (items []Item, err error) {
	e, err := o.Engine()
	if err != nil {
		return nil, err
	}
	if o.Policy.Containers {
		idle, err := e.Idle(ctx)
		if err != nil {
			return nil, err
		}
		for id, since := range idle {
			size, err := o.Images.Storage().Size(ctx, id)
			if err != nil {
				size = 0 // one without a layer, or that goes at this moment
			}
			items = append(items, Item{Kind: Container, ID: id, LastUsed: since, Own: size})
		}
	}
	if !o.Policy.Volumes {
		return items, nil
	}
	volumes, err := e.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		users, err := e.VolumeUsers(ctx, v.Name)
		if err != nil {
			return nil, err
		}
		if len(users) == 0 {
			items = append(items, Item{Kind: Volume, ID: v.Name, LastUsed: e.VolumeLastUsed(v), Own: e.VolumeSize(ctx, v)})
		}
	}
	return items, nil
}

// remove removes an item; each kind looks again whether it is needed.
func remove(ctx context.Context, o *Options, item *Item) error {
	if item.Kind == Image {
		if err := o.Images.Drop(ctx, item.ID, item.Named); err != nil {
			return err
		}
		o.Removed(item.ID)
		return nil
	}
	e, err := o.Engine()
	if err != nil {
		return err
	}
	if item.Kind == Volume {
		return e.RemoveVolume(ctx, item.ID, false, nil)
	}
	_, err = e.Remove(ctx, item.ID, libpod.RemoveOptions{Volumes: o.Policy.Volumes})
	return err
}

// summary is what the user is told.
func summary(gone []Item) string {
	var parts []string
	var size int64
	for kind, word := range []string{Container: "container", Image: "image", Volume: "volume"} {
		n := 0
		for _, item := range gone {
			if item.Kind == Kind(kind) {
				n, size = n+1, size+item.Frees
			}
		}
		switch {
		case n == 1:
			parts = append(parts, "1 "+word)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, word))
		}
	}
	youngest := slices.MaxFunc(gone, func(a, b Item) int { return a.LastUsed.Compare(b.LastUsed) })
	return fmt.Sprintf("[gc] removed %s, unused for %s or longer: %s freed", strings.Join(parts, ", "),
		strings.ToLower(units.HumanDuration(time.Since(youngest.LastUsed))), units.HumanSize(float64(size)))
}

package cli

import (
	"context"

	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/settings"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Parts are what a program brings along of that which needs the image library. Linking
// it costs each start a third, so a program for containers goes without (cmd/quick).
type Parts struct {
	// Images opens the images of a store.
	Images func(a *App, store *storage.Store) (Images, error)
	// Inspect is all about an image or an artifact, as kind says; none says that there is
	// no such one.
	Inspect func(ctx context.Context, a *App, kind, name string) (object any, none bool, err error)
	// Collect applies a policy for garbage, which is there.
	Collect func(ctx context.Context, a *App, policy settings.GC) error
	// Files copies and packs files.
	Files libpod.Files
	// CheckUpdates refuses an image of which no registry can be asked for a newer one.
	CheckUpdates func(image string) error
	// Begin comes before anything is done for a new container. It does not return if that
	// needs what the program lacks. Nil: the program lacks nothing.
	Begin func(a *App, spec *specgen.Container) error
}

// Images are the images, as the commands on containers need them.
type Images interface {
	libpod.Images
	// Ensure returns the configuration of an image, pulling it if the policy says.
	Ensure(ctx context.Context, name string, opts basic.PullOptions) (specgen.ImageConfig, error)
	// EnsureTools makes sure of the embedded image of debug tools and returns its full name.
	EnsureTools(ctx context.Context) (string, error)
	// Wrote says whether images were brought or made, or it was tried.
	Wrote() bool
	// Close removes temporary files.
	Close() error
}

// Images is the store of images. What writes images makes them durable.
func (a *App) Images(ctx context.Context) (Images, error) {
	return a.images.get(func() (Images, func() error, error) {
		store, err := a.Storage(ctx)
		if err != nil {
			return nil, nil, err
		}
		images, err := a.Parts.Images(a, store)
		if err != nil {
			return nil, nil, err
		}
		return images, images.Close, nil
	})
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
	return images.Ensure(ctx, name, basic.PullOptions{Progress: a.Err})
}

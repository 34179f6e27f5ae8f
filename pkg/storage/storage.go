// Package storage owns pod's use of containers/storage: where the store is,
// which driver it has, and the root file systems of containers. Layers and
// images stay in the format and the places that podman, buildah and skopeo
// use, so every tool sees the same ones. What an image is, and what a
// container is beyond its file system, is left to pkg/image and pkg/libpod.
package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	cstorage "go.podman.io/storage"
	"go.podman.io/storage/pkg/unshare"
	"go.podman.io/storage/types"
)

// Options say which store to open. Zero values mean storage.conf's settings,
// or the field's defaults.
type Options struct {
	// ImageStore keeps images elsewhere than in Root; empty is as configured.
	ImageStore string
	// Root and RunRoot are --root and --runroot.
	Root, RunRoot string
	// Driver is --storage-driver; naming one drops the configured options,
	// which belong to another driver.
	Driver string
	// DriverOpts are --storage-opt; they replace the configured ones.
	DriverOpts []string
	// Rootless says that this process is in its user's own namespace.
	Rootless bool
	// UID is the user's id on the host, for messages.
	UID int
	// Sync makes layers durable before they are recorded. It costs a syncfs per
	// layer, containers' layers included: for pull, load, import and build,
	// never for create and run.
	Sync bool
}

// Paths are where a store is.
type Paths struct {
	// Root holds layers, images and containers; RunRoot what ends with the boot.
	Root, RunRoot string
	// Transient: storage.conf wants containers to be forgotten with the boot.
	Transient bool
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	conf types.StoreOptions
	// known: the library need not be asked what the store is, see known.go.
	known bool
	notes sync.Once

	// What lib returns, once it was asked.
	once  sync.Once
	store cstorage.Store
	err   error
}

// Locate says where the store of opts is, without opening it.
func Locate(opts Options) (Paths, error) {
	conf, err := configure(opts)
	if err != nil {
		return Paths{}, err
	}
	return Paths{Root: conf.GraphRoot, RunRoot: conf.RunRoot, Transient: conf.TransientStore}, nil
}

// Configured are the driver that the configuration names, empty if it names
// none, and its options.
func Configured(opts Options) (driver string, options []string, err error) {
	conf, err := configure(opts)
	return conf.GraphDriverName, conf.GraphDriverOptions, err
}

// Open opens the store, making it if there is none. The warnings are for the
// user: one line each.
func Open(ctx context.Context, opts Options) (*Store, []string, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	conf, err := configure(opts)
	if err != nil {
		return nil, nil, err
	}
	if err := privateDir(conf.RunRoot, opts.UID); err != nil {
		return nil, nil, err
	}
	warnings, err := chooseDriver(&conf)
	if err != nil {
		return nil, nil, err
	}
	if opts.Rootless {
		ignoreOwners(&conf)
	}
	if opts.Sync {
		conf.GraphDriverOptions = withSync(conf)
	}
	conf.GraphRoot, conf.RunRoot = filepath.Clean(conf.GraphRoot), filepath.Clean(conf.RunRoot)
	store := &Store{conf: conf, known: unshare.IsRootless() && known(&conf)}
	if !store.known {
		err = store.open()
	}
	if err != nil {
		return nil, nil, err
	}
	return store, warnings, nil
}

// open has the library open the store, and notes how it did.
func (s *Store) open() error {
	lib, err := s.opened()
	if err != nil {
		return err
	}
	s.conf.GraphDriverName, s.conf.GraphDriverOptions = lib.GraphDriverName(), lib.GraphOptions()
	return nil
}

// lib is the library's store. One that is known is opened when somebody first needs it.
func (s *Store) lib(ctx context.Context) (cstorage.Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.opened()
}

func (s *Store) opened() (cstorage.Store, error) {
	s.once.Do(func() {
		var err error
		if s.store, err = cstorage.GetStore(s.conf); err != nil {
			s.err = openError(s.conf, err)
		}
	})
	return s.store, s.err
}

// openError says what is wrong with a store, in one line.
func openError(conf types.StoreOptions, err error) error {
	if errors.Is(err, cstorage.ErrDuplicateID) || conf.GraphDriverName == "" {
		return fmt.Errorf("open store %s: %w", conf.GraphRoot, noSpace(err))
	}
	return fmt.Errorf("open store %s with driver %s: %w", conf.GraphRoot, conf.GraphDriverName, noSpace(err))
}

// withSync returns the driver options with durable layers switched on. Of the
// drivers only overlay can: vfs has the option, but v1.64 of the library looks
// for it under a name that its own parser has shortened.
func withSync(conf types.StoreOptions) []string {
	if conf.GraphDriverName != "overlay" {
		return conf.GraphDriverOptions
	}
	for _, opt := range conf.GraphDriverOptions {
		if strings.HasPrefix(opt, "overlay.sync=") || strings.HasPrefix(opt, "sync=") {
			return conf.GraphDriverOptions
		}
	}
	return append(slices.Clone(conf.GraphDriverOptions), "overlay.sync=filesystem")
}

// Synced opens the same store again with durable layers. The library would hand
// out the first object again, so that one leaves its list; both may be used,
// they share their locks.
func (s *Store) Synced() (*Store, error) {
	s.notes.Do(s.dropEmptyNotes)
	durable := &Store{conf: s.conf}
	durable.conf.GraphDriverOptions = withSync(s.conf)
	if slices.Equal(durable.conf.GraphDriverOptions, s.conf.GraphDriverOptions) {
		return s, nil
	}
	lib, err := s.opened()
	if err != nil {
		return nil, err
	}
	lib.Free()
	if err := durable.open(); err != nil {
		return nil, err
	}
	return durable, nil
}

// Close forgets the store. Mounts stay: they belong to containers.
func (s *Store) Close() error {
	s.once.Do(func() { s.err = os.ErrClosed }) // it was not opened, and is not any more
	if s.store != nil {
		s.store.Free()
	}
	return nil
}

// Library is the library's store, for pkg/image and pkg/build.
func (s *Store) Library() (cstorage.Store, error) {
	lib, err := s.opened()
	if err != nil {
		return nil, err
	}
	return s.withPassing(lib), nil
}

// Root is the graph root, RunRoot what ends with the boot.
func (s *Store) Root() string { return s.conf.GraphRoot }

// RunRoot is the directory of what ends with the boot.
func (s *Store) RunRoot() string { return s.conf.RunRoot }

// Driver is the name of the driver in use.
func (s *Store) Driver() string { return s.conf.GraphDriverName }

// DriverOptions are the driver's options, as KEY=VALUE.
func (s *Store) DriverOptions() []string { return s.conf.GraphDriverOptions }

// Status is the driver's own description, for `pod info`.
func (s *Store) Status() ([][2]string, error) {
	lib, err := s.opened()
	if err != nil {
		return nil, err
	}
	return lib.Status()
}

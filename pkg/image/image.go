// Package image owns images: finding them in the store, bringing them from
// registries and archives, listing, tagging, removing and saving them. It
// drives common/libimage and says its errors in one line. The files of layers
// belong to pkg/storage; what a container makes of an image's configuration is
// for pkg/specgen.
package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/auth"
	storagetransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
	cstorage "go.podman.io/storage"

	"github.com/rootless-pod/pod/internal/heldir"
	"github.com/rootless-pod/pod/internal/reserve"
	"github.com/rootless-pod/pod/pkg/image/basic"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Options hold for everything a Store does.
type Options struct {
	// Authfile and CertDir replace the default places of credentials and
	// registries' certificates.
	Authfile, CertDir string
	// RegistriesConf and SignaturePolicy replace registries.conf and policy.json.
	RegistriesConf, SignaturePolicy string
	// Bulk, if not nil, is called once before images are written: from then on
	// blobs go through buffers of megabytes.
	Bulk func()
	// Log receives warnings; nil discards them.
	Log *slog.Logger
}

// Store is the images of a store of layers. It is safe for concurrent use.
type Store struct {
	storage *storage.Store
	basic   *basic.Images
	opts    Options
	log     *slog.Logger
	// builtin is the path of the built-in signature policy.
	builtin func() (string, error)

	mu sync.Mutex
	// reader works on the store as it was opened, writer on a synced one. Both
	// are made on first use: finding a local image needs neither.
	reader, writer *library
	// scratch and bringing are made with the writer.
	scratch  *heldir.Dir
	bringing *storage.Bringing
}

// library is libimage on one store.
type library struct {
	*libimage.Runtime
	store *storage.Store
	// seen is the store as the libraries see it; a writer's is a checkedStore.
	seen cstorage.Store
	sys  *types.SystemContext
}

// New returns the images of store. It reads nothing.
func New(store *storage.Store, opts Options) (*Store, error) {
	if store == nil {
		return nil, fmt.Errorf("images: no store")
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Store{storage: store, basic: basic.New(store, log), opts: opts, log: log, builtin: sync.OnceValues(builtinPolicy)}, nil
}

// Close removes temporary files. What was brought stays.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scratch == nil {
		return nil
	}
	err := s.scratch.Close()
	if s.bringing != nil {
		err = errors.Join(err, s.bringing.End())
	}
	s.scratch, s.writer, s.bringing = nil, nil, nil
	return err
}

// Wrote says whether images were brought or made, or it was tried.
func (s *Store) Wrote() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writer != nil
}

// Storage is the store of layers below.
func (s *Store) Storage() *storage.Store { return s.storage }

// SystemContext are the settings for registries, as for `pod login`.
func (s *Store) SystemContext() (*types.SystemContext, error) {
	policy, err := s.policyPath()
	if err != nil {
		return nil, err
	}
	authfile := s.opts.Authfile
	if authfile == "" {
		authfile = auth.GetDefaultAuthFile()
	}
	return &types.SystemContext{
		AuthFilePath:             authfile,
		DockerCertPath:           s.opts.CertDir,
		SystemRegistriesConfPath: s.opts.RegistriesConf,
		SignaturePolicyPath:      policy,
	}, nil
}

// reading returns libimage for reading.
func (s *Store) reading() (*library, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(&s.reader, func() (*storage.Store, error) { return s.storage, nil })
}

// writing returns libimage on a store whose layers are durable before they are
// recorded.
func (s *Store) writing() (*library, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scratch == nil {
		_ = reserve.Ensure(s.storage.Root()) // a precaution for the day the disk is full
		base, err := scratchBase()
		if err != nil {
			return nil, err
		}
		if s.scratch, err = newScratch(base); err != nil {
			return nil, err
		}
	}
	if s.bringing == nil {
		var err error
		if s.bringing, err = s.storage.Bring(); err != nil {
			return nil, err
		}
	}
	if s.writer == nil && s.opts.Bulk != nil {
		s.opts.Bulk()
	}
	return s.open(&s.writer, s.storage.Synced)
}

// Reader is libimage for packages that read what this one does not: lists, builds.
func (s *Store) Reader() (*libimage.Runtime, error) {
	lib, err := s.reading()
	if err != nil {
		return nil, err
	}
	return lib.Runtime, nil
}

// Writer is Reader on a store whose layers are durable before they are recorded,
// and that store.
func (s *Store) Writer() (*libimage.Runtime, *storage.Store, error) {
	lib, err := s.writing()
	if err != nil {
		return nil, nil, err
	}
	return lib.Runtime, lib.store, nil
}

func (s *Store) open(lib **library, store func() (*storage.Store, error)) (*library, error) {
	if *lib != nil {
		return *lib, nil
	}
	sys, err := s.SystemContext()
	if err != nil {
		return nil, err
	}
	layers, err := store()
	if err != nil {
		return nil, err
	}
	seen, err := layers.Library()
	if err != nil {
		return nil, err
	}
	if lib == &s.writer {
		sys.BigFilesTemporaryDir = s.scratch.Path()
		seen = &checkedStore{seen}
	}
	runtime, err := libimage.RuntimeFromStore(seen, &libimage.RuntimeOptions{SystemContext: sys})
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	// containers-storage: names are looked up in the transport's own store.
	storagetransport.Transport.SetStore(seen)
	*lib = &library{Runtime: runtime, store: layers, seen: seen, sys: sys}
	return *lib, nil
}

// dropFailed removes what a failed pull, load or import has unpacked: an image
// that was refused leaves nothing. What a network failure has interrupted stays
// for the next try, until a prune.
func (s *Store) dropFailed(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || explainNetwork("", err) != nil {
		return
	}
	// That it fails is no news: the error to tell is the first.
	_, _ = s.storage.DropBrought(context.WithoutCancel(ctx), s.bringing)
}

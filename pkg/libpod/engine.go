// Package libpod owns the life cycle of containers and volumes: it takes a
// description (specgen), keeps its record and state (state), prepares storage
// and network, and drives the OCI runtime. Every change to a container is made
// under its lock, and what is about to be done is recorded before it is done,
// so that whoever comes after a killed process can finish or undo it.
package libpod

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"go.podman.io/common/pkg/config"

	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network/bridge"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Images are the images that containers are made of, as far as an Engine needs them.
type Images interface {
	// Resolve finds a local image and reads its configuration.
	Resolve(ctx context.Context, name string) (specgen.ImageConfig, error)
	// TopLayer is the layer of the store that a local image consists of.
	TopLayer(ctx context.Context, name string) (string, error)
	// RemoveUnused removes an image by its name, or by its id if it has none; one that
	// somebody uses, or that is gone, stays as it is.
	RemoveUnused(ctx context.Context, id, name string) error
}

// Options are what an Engine stands on.
type Options struct {
	Session *rootless.Session
	Config  *config.Config
	// GraphRoot and RunRoot are those of containers/storage.
	GraphRoot, RunRoot string
	// Storage and Images open their stores on first use.
	Storage func() (*storage.Store, error)
	Images  func() (Images, error)
	// DeleteStorage removes a container's root file system without opening the store;
	// false if the store has to do it.
	DeleteStorage func(ctx context.Context, id string) (bool, error)
	Events        events.Log
	// Files moves and packs files; nil in a program that does neither.
	Files Files
	// CheckUpdates refuses an image of which no registry can be asked for a newer one.
	// It is asked for containers that want that, before anything of them is made.
	CheckUpdates func(image string) error
	// Self is the argument vector of this program with its global flags; the
	// clean-up that conmon starts is made of it.
	Self []string
	// Stdio are this process's standard streams, for containers that have their
	// caller's.
	Stdio [3]*os.File
	// Warn shows the user one line.
	Warn func(string)
	// Tell shows what takes long. A passing text is for a terminal, and gives way to
	// the next one.
	Tell func(text string, passing bool)
	// The rest comes from global flags; empty means as configured.
	Runtime       string
	RuntimeFlags  []string
	Conmon        string
	CgroupManager string
	VolumePath    string
	// CDISpecDirs and HooksDirs hold CDI specifications and OCI hooks; those of
	// later directories win.
	CDISpecDirs, HooksDirs []string
	// ShareNetwork says whether containers of the default network share one pasta,
	// nil: those that come to others that stay. It is asked when one starts.
	ShareNetwork func() (*bool, error)
	// NetworkConfigDir holds the definitions of networks, instead of podman's place.
	NetworkConfigDir string
	// TmpDir is where what ends with the boot is, instead of RunRoot.
	TmpDir string
	// Transient: containers are forgotten with the boot.
	Transient bool
	// NotifySocket is where systemd waits for a word (NOTIFY_SOCKET).
	NotifySocket string
	// Sockets are those of a socket unit, for containers that are asked for.
	Sockets Sockets
	// Unit is the systemd unit that this process is of (PODMAN_SYSTEMD_UNIT).
	Unit string
}

// Engine is one user's containers in one graph root.
type Engine struct {
	Options
	state *state.Store
	paths paths

	lost    sync.Once
	lostErr error
	// asked are the ids of the containers this process was asked to run, and speaker
	// that of the first.
	asked   sync.Map
	speaker atomic.Pointer[string]

	cgroups sync.Once
	cgroup  cgroupPlan
	bridges sync.Once
	bridge  *bridge.Manager
}

// Open opens the engine. It touches neither images nor containers.
func Open(ctx context.Context, opts Options) (*Engine, error) {
	switch opts.CgroupManager {
	case "", "systemd", "cgroupfs":
	default:
		return nil, fmt.Errorf("cgroup manager %q is not supported: use systemd or cgroupfs", opts.CgroupManager)
	}
	runDir := opts.RunRoot
	if opts.TmpDir != "" {
		runDir = opts.TmpDir
	}
	e := &Engine{Options: opts, paths: newPaths(opts.GraphRoot, runDir, opts.VolumePath, opts.Session.RunBase)}
	if err := e.paths.make(); err != nil {
		return nil, err
	}
	store, err := state.Open(ctx, state.Options{GraphRoot: opts.GraphRoot, RunDir: e.paths.run})
	if err != nil {
		return nil, err
	}
	e.state = store
	e.resumeTimers(ctx)
	e.mendNetworks(ctx)
	return e, nil
}

// Close closes the state. Containers go on.
func (e *Engine) Close() error { return e.state.Close() }

// paths are pod's own directories of a store.
type paths struct {
	run     string // everything that ends with this boot
	ctr     string // one directory a container, with its bundle
	netns   string // bind-mounted network namespaces, where AppArmor's profile of pasta expects them
	net     string // files of the network helpers
	runtime string // state of the OCI runtimes
	volumes string
}

// newPaths gives each graph root its own run directory, so that two stores of
// one user never meet.
func newPaths(graphRoot, runRoot, volumes, runBase string) paths {
	sum := sha256.Sum256([]byte(graphRoot))
	run := filepath.Join(runRoot, "pod", hex.EncodeToString(sum[:4]))
	if volumes == "" {
		volumes = filepath.Join(graphRoot, "volumes")
	}
	return paths{
		run: run, ctr: filepath.Join(run, "c"),
		netns: filepath.Join(runBase, "netns"), net: filepath.Join(run, "net"), runtime: filepath.Join(run, "rt"), volumes: volumes,
	}
}

// make creates the directories, all of them for their owner alone.
func (p paths) make() error {
	for _, dir := range []string{p.ctr, p.netns, p.net, p.runtime} {
		if _, err := os.Lstat(dir); err == nil {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make run directory: %w", err)
		}
	}
	return nil
}

func (p paths) container(id string) string { return filepath.Join(p.ctr, id) }
func (p paths) waitLock(id string) string  { return filepath.Join(p.ctr, id, "wait.lock") }

// runtime returns the driver of the OCI runtime called name.
func (e *Engine) runtime(name string) (*ociruntime.Runtime, error) {
	if name == "" {
		name = e.runtimeName()
	}
	path, err := ociruntime.Find(name, e.Config.Engine.OCIRuntimes)
	if err != nil {
		return nil, err
	}
	conmon := e.Conmon
	if conmon != "" {
		if err := ociruntime.CheckConmon(conmon); err != nil {
			return nil, err
		}
	} else {
		if conmon, err = ociruntime.FindConmon(e.Config.Engine.ConmonPath.Get()); err != nil {
			return nil, err
		}
	}
	base := filepath.Base(path)
	flags := make([]string, len(e.RuntimeFlags))
	for i, flag := range e.RuntimeFlags { // given without dashes, as in the field
		flags[i] = "--" + strings.TrimPrefix(flag, "--")
	}
	view := ""
	if base == "crun" {
		view = e.Session.ReadOnly(path)
	}
	return &ociruntime.Runtime{
		Name: base, Path: path, View: view, Conmon: conmon, Flags: flags,
		CgroupManager: e.cgroupPlan().runtimeManager(),
		StateRoot:     filepath.Join(e.paths.runtime, base),
		Rootless:      e.Session.Rootless,
	}, nil
}

// runtimeName is the runtime for new containers.
func (e *Engine) runtimeName() string {
	if e.Runtime != "" {
		return e.Runtime
	}
	return e.Config.Engine.OCIRuntime
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/jsononce"
	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/reserve"
	"github.com/rootless-pod/pod/internal/sdnotify"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/storage"
)

// launch is what one start makes, from the mount to the running process.
type launch struct {
	runtime *ociruntime.Runtime
	dir     string // the container's run directory and bundle
	root    string // its mounted root file system
	visible string // where the runtime finds that, if that is elsewhere
	netns   string // path of its network namespace, "host" or empty
	net     *network.Pending
	binds   []rspec.Mount
	sources map[string]string // what pod mounted itself, by destination
	// volumeFlags are those of volumes, by name.
	volumeFlags map[string][]string
	notify      bool // conmon listens for the container's word to systemd
	hooked      bool // the runtime runs hooks when it starts the container
	// restore makes the processes of a checkpoint instead of a new one.
	restore *ociruntime.CheckpointOptions

	// bundle takes nil when the bundle is there, or why it will not be; created
	// gives what became of conmon and the runtime.
	bundle  chan error
	created chan creation
}

// creation is the answer of the runtime's create.
type creation struct {
	*ociruntime.Created
	err error
}

// Start starts a container that does not run. Starting a running one is no
// error, as in the field.
func (e *Engine) Start(ctx context.Context, nameOrID string) (*state.Container, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	e.asksFor(c)
	if err := e.startNeeded(ctx, c, map[string]bool{}); err != nil {
		return nil, err
	}
	if c, err = e.startAlone(ctx, c.ID); err != nil {
		return nil, err
	}
	return c, e.awaitReady(ctx, c)
}

// startAlone starts a container and none that it needs.
func (e *Engine) startAlone(ctx context.Context, nameOrID string) (*state.Container, error) {
	go e.warmCgroups()
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	switch status := e.status(c); status {
	case StatusRunning:
		return c, nil
	case StatusCreated, StatusExited:
	case StatusInitialized:
		if err := e.runInitialized(ctx, c); err != nil {
			return nil, err
		}
		return c, nil
	default:
		return nil, improper("start", c.ID, c.Name, status, "wait, or unpause it")
	}
	if err := e.startedByUser(ctx, c); err != nil {
		return nil, err
	}
	return c, e.start(ctx, c, nil)
}

// startedByUser begins the count of restarts anew.
func (e *Engine) startedByUser(ctx context.Context, c *state.Container) error {
	e.dropRestart(ctx, c)
	if c.Restarts == 0 && c.QuickEnds == 0 {
		return nil
	}
	c.Restarts, c.QuickEnds = 0, 0
	return e.state.Update(ctx, c)
}

// start runs a rested container that is locked.
func (e *Engine) start(ctx context.Context, c *state.Container, makeRoot rootMaker) error {
	l, err := e.prepare(ctx, c, makeRoot)
	if err == nil {
		err = e.begin(ctx, c, l)
	}
	if err != nil {
		return e.failStart(ctx, c, err)
	}
	return nil
}

// failStart undoes a start; the container is what it was before. One that was
// still being made is no more; with --rm that is the caller's to do.
func (e *Engine) failStart(ctx context.Context, c *state.Container, cause error) error {
	ctx = context.WithoutCancel(ctx)
	if reserve.Scarce(e.GraphRoot) {
		// conmon's exit command lends the reserve, and is ended with conmon before it
		// could take it back.
		defer func() { _ = e.state.RetakeReserve() }() // its lack is no failure of the work
	}
	if err := e.tearDown(ctx, c); err != nil {
		return errors.Join(cause, err)
	}
	if c.Run != nil && c.Run.Making && !c.Spec.Remove {
		return errors.Join(cause, e.destroy(ctx, c, true))
	}
	if err := e.state.SetRun(ctx, c.ID, nil); err != nil {
		return errors.Join(cause, err)
	}
	c.Run = nil
	return cause
}

// rootMaker makes the root file system of a container that is not yet complete.
type rootMaker func(ctx context.Context) error

// prepare does everything up to a process that waits for its start. With
// makeRoot it completes the container first, while conmon and the network start.
func (e *Engine) prepare(ctx context.Context, c *state.Container, makeRoot rootMaker) (*launch, error) {
	l := &launch{}
	// Copies of layers for other ids may take minutes.
	defer sdnotify.Extend(ctx, e.notifySocket(c))()
	err := e.prepareLaunch(ctx, c, makeRoot, l)
	return l, err
}

func (e *Engine) prepareLaunch(ctx context.Context, c *state.Container, makeRoot rootMaker, l *launch) error {
	l.dir = e.paths.container(c.ID)
	var err error
	if err = e.checkCgroups(c); err != nil {
		return err
	}
	if l.runtime, err = e.runtime(c.Spec.Runtime); err != nil {
		return err
	}
	l.runtime.CgroupManager = e.managerOf(c)
	l.runtime.HostNetwork = c.Spec.Network.Mode == network.Host
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("make run directory of container %s: %w", short(c.ID), err)
	}
	if makeRoot == nil {
		// A run directory on a disk outlives the machine's end, and the runtime's
		// notes of a container with it.
		if err := e.forgetRuntime(ctx, c.ID); err != nil {
			return err
		}
	}
	c.Run = &state.Run{Phase: state.PhaseStarting, Owner: process.Self(), Making: makeRoot != nil, Unit: e.Unit}
	if err := step.Do(ctx, "state.starting", func() error { return e.state.SetRun(ctx, c.ID, c.Run) }); err != nil {
		return err
	}
	if err := step.Do(ctx, "conmon", func() error { return e.spawn(ctx, c, l) }); err != nil {
		return err
	}
	err = step.Do(ctx, "network.begin", func() error { return e.beginNetwork(ctx, c, l) })
	if err == nil && makeRoot != nil {
		err = makeRoot(ctx)
	}
	if err == nil {
		err = e.assemble(ctx, c, l)
	}
	l.bundle <- err
	if err == nil {
		err = step.Do(ctx, "runtime.create", func() error { return e.awaitProcess(ctx, c, l) })
	} else {
		<-l.created // conmon has given up
	}
	if err != nil && l.net != nil {
		err = errors.Join(err, l.net.Abort(ctx))
		l.net = nil
	}
	return err
}

// spawn starts conmon, which waits until the bundle is there: its own start, and
// systemd's work on its scope, go on beside ours.
func (e *Engine) spawn(ctx context.Context, c *state.Container, l *launch) error {
	log, err := e.containerLog(c)
	if err != nil {
		return err
	}
	place := e.conmonPlace(c)
	notify, err := e.proxyNotify(c, l)
	if err != nil {
		return err
	}
	fds, err := e.inherited(c)
	if err != nil {
		return err
	}
	l.bundle, l.created = make(chan error, 1), make(chan creation, 1)
	opts := ociruntime.CreateOptions{
		ID: c.ID, Name: c.Name, RunDir: l.dir, Terminal: c.Spec.Process.Terminal, Stdin: c.Spec.Process.Stdin,
		Log: log, ExitCommand: e.exitCommand(c.ID), PIDFile: c.Spec.PIDFile, ConmonPIDFile: e.MonitorPIDFile(c),
		Timeout: c.Spec.Process.Timeout, NotifySocket: notify, PreserveFDs: fds, Restore: l.restore,
		Stdio: e.streamsOf(c), NoNewKeyring: !e.newKeyring(), Adopted: e.notifySocket(c) != "",
		Place: func(ctx context.Context, pid int) error {
			if place != nil {
				if err := place(ctx, pid); err != nil {
					return err
				}
			}
			if inPodCgroup(c) {
				if err := e.makePodCgroup(ctx, c); err != nil {
					return err
				}
			}
			return <-l.bundle
		},
	}
	go func() {
		created, err := l.runtime.Create(ctx, opts)
		l.created <- creation{created, err}
	}()
	return nil
}

// assemble mounts the root file system and writes the bundle. The network is
// set up meanwhile, and conmon started.
func (e *Engine) assemble(ctx context.Context, c *state.Container, l *launch) error {
	store, err := e.Storage()
	if err != nil {
		return err
	}
	err = step.Do(ctx, "storage.mount", func() error {
		if !c.Spec.Layered() {
			l.root, err = e.mountRootfs(ctx, c)
			return err
		}
		l.root, err = store.Mount(ctx, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	if c.Spec.Debugs != "" {
		if err := e.linkTarget(ctx, c, l.root); err != nil {
			return err
		}
	}
	if len(c.Spec.Storage.Mounts) > 0 && !c.Spec.Pause() { // which are for the others of its pod
		if err := step.Do(ctx, "volumes.fill", func() error { l.volumeFlags, err = e.prepareVolumes(ctx, c, l.root); return err }); err != nil {
			return err
		}
		if err := step.Do(ctx, "mounts.own", func() error { l.sources, err = e.mountOwn(ctx, c); return err }); err != nil {
			return err
		}
	}
	if err := e.addAccounts(ctx, c, l); err != nil {
		return err
	}
	if err := step.Do(ctx, "files", func() error { return e.writeFiles(ctx, c, l) }); err != nil {
		return err
	}
	var spec *rspec.Spec
	if err := step.Do(ctx, "spec", func() error { spec, err = e.ociSpec(ctx, c, l); return err }); err != nil {
		return err
	}
	l.hooked = spec.Hooks != nil && len(spec.Hooks.Poststart) > 0
	return step.Do(ctx, "bundle", func() error { return writeBundle(l.dir, spec) })
}

func writeBundle(dir string, spec *rspec.Spec) error {
	data, err := jsononce.Marshal(spec)
	if err != nil {
		return fmt.Errorf("encode the OCI specification: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600); err != nil {
		return fmt.Errorf("write the OCI specification: %w", err)
	}
	return nil
}

// awaitProcess waits until conmon and the runtime have created the container, and
// records both processes.
func (e *Engine) awaitProcess(ctx context.Context, c *state.Container, l *launch) error {
	created := <-l.created
	if created.err != nil {
		return e.runtimeError(c, created.err)
	}
	var err error
	if c.Run.Init, err = process.Of(created.PID); err != nil {
		return fmt.Errorf("container %s ended before it was started: %w", short(c.ID), err)
	}
	if c.Run.Conmon, err = process.Of(created.ConmonPID); err != nil {
		return fmt.Errorf("the monitor of container %s is gone: %w", short(c.ID), err)
	}
	c.Run.Phase = state.PhaseInit
	c.Run.Cgroup = processCgroup(created.PID)
	if err := e.state.SetRun(ctx, c.ID, c.Run); err != nil {
		return err
	}
	e.event(ctx, "init", c)
	return nil
}

// processCgroup is the cgroup v2 path of a process, empty if it cannot be read.
func processCgroup(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	return ""
}

// exitCommand is what conmon starts when the container has ended: nothing but a
// look at the wait lock as long as a foreground command holds it.
func (e *Engine) exitCommand(id string) []string {
	argv := append([]string{e.Self[0], "__cleanup", e.paths.waitLock(id)}, e.Self[1:]...)
	return append(argv, "container", "cleanup", id)
}

// begin waits for the network and lets the process run.
func (e *Engine) begin(ctx context.Context, c *state.Container, l *launch) error {
	if l.net != nil {
		err := step.Do(ctx, "network.wait", func() error { return e.finishNetwork(ctx, c, l) })
		if err != nil {
			return err
		}
	}
	e.rotateLog(ctx, c)
	err := step.Do(ctx, "runtime.start", func() error {
		if !l.hooked && l.runtime.Release(c.ID) {
			return nil
		}
		return l.runtime.Start(ctx, c.ID)
	})
	if err != nil {
		return e.runtimeError(c, err)
	}
	return e.markRunning(ctx, c)
}

func (e *Engine) markRunning(ctx context.Context, c *state.Container) error {
	c.Run.Phase, c.Run.StartedAt, c.Run.Owner = state.PhaseRunning, time.Now().UTC(), process.ID{}
	e.beginHealth(ctx, c)
	err := step.Do(ctx, "state.running", func() error {
		if !c.Wanted && !c.Volatile {
			c.Wanted = true
			if err := e.state.Update(ctx, c); err != nil {
				return err
			}
		}
		return e.state.SetRun(ctx, c.ID, c.Run)
	})
	e.event(ctx, "start", c)
	e.notifyStarted(ctx, c)
	return err
}

// runInitialized starts a container that init made.
func (e *Engine) runInitialized(ctx context.Context, c *state.Container) error {
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return err
	}
	runtime.HostNetwork = c.Spec.Network.Mode == network.Host
	e.rotateLog(ctx, c)
	if err := runtime.Start(ctx, c.ID); err != nil {
		return e.runtimeError(c, err)
	}
	return e.markRunning(ctx, c)
}

// runtimeError gives an error of the runtime its exit code (126, 127).
func (e *Engine) runtimeError(c *state.Container, err error) error {
	var failed *ociruntime.Error
	if errors.As(err, &failed) {
		// An overlay that cannot make its working directory is mounted read-only.
		if strings.Contains(strings.ToLower(failed.Error()), unix.EROFS.Error()) && reserve.Scarce(e.GraphRoot) {
			return fmt.Errorf("%w, so that the container's files are read-only: %w", storage.ErrNoSpace, err)
		}
		return commandError(failed, slices.Concat(c.Spec.Process.Entrypoint, c.Spec.Process.Command))
	}
	return fmt.Errorf("container %s: %w", short(c.ID), err)
}

// lockContainer looks a container up, locks it and brings its record in line
// with the kernel.
func (e *Engine) lockContainer(ctx context.Context, nameOrID string) (*state.Container, *state.Lock, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, nil, err
	}
	lock, err := e.lock(ctx, c.ID)
	if err != nil {
		return nil, nil, err
	}
	if c, err = e.settle(ctx, c.ID); err != nil {
		e.unlock(lock)
		return nil, nil, err
	}
	return c, lock, nil
}

// unlock gives a lock back and removes its file, so that none outlives its
// container; whoever waits for it makes a new one. It can only fail on a lock
// that is none any more.
func (e *Engine) unlock(lock *state.Lock) { _ = e.state.RemoveLock(lock) }

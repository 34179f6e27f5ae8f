package libpod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// AttachOptions are the caller's ends of a container's streams.
type AttachOptions struct {
	attach.Streams
	DetachKeys string
	// SigProxy forwards the caller's signals to the container.
	SigProxy bool
}

// Outcome is how a foreground command on a container ended.
type Outcome struct {
	ID string
	// Code is the exit code of the container's process.
	Code int
	// Detached: the user left, the container runs on.
	Detached bool
}

// Run creates a container and starts it. Without attach it returns when the
// container runs; with attach when it has ended, or the user detached.
func (e *Engine) Run(ctx context.Context, spec *specgen.Container, img specgen.ImageConfig, a *AttachOptions, created func(id string) error) (Outcome, error) {
	go e.warmCgroups()
	c, lock, makeRoot, err := e.record(ctx, spec, img)
	if err != nil {
		return Outcome{}, err
	}
	e.asksFor(c)
	out := Outcome{ID: c.ID}
	if created != nil {
		if err := created(c.ID); err != nil {
			err = errors.Join(err, e.destroy(context.WithoutCancel(ctx), c, true))
			e.unlock(lock)
			return out, err
		}
	}
	if err := e.startNeeded(ctx, c, map[string]bool{}); err != nil {
		err = errors.Join(err, e.destroy(context.WithoutCancel(ctx), c, true))
		e.unlock(lock)
		return out, err
	}
	if a == nil {
		err = e.start(ctx, c, makeRoot)
		e.unlock(lock)
		if err == nil {
			return out, e.awaitReady(ctx, c)
		}
		return out, e.dropFailed(ctx, c, err)
	}
	return e.foreground(ctx, c, lock, a, makeRoot)
}

// dropFailed removes an --rm container whose start failed.
func (e *Engine) dropFailed(ctx context.Context, c *state.Container, cause error) error {
	if cause == nil || !c.Spec.Remove {
		return cause
	}
	return errors.Join(cause, e.destroy(context.WithoutCancel(ctx), c, true))
}

// StartAttached starts a container and stays with it.
func (e *Engine) StartAttached(ctx context.Context, nameOrID string, a *AttachOptions) (Outcome, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return Outcome{}, err
	}
	e.asksFor(c)
	if err := e.startNeeded(ctx, c, map[string]bool{}); err != nil {
		return Outcome{}, err
	}
	c, lock, err := e.lockContainer(ctx, c.ID)
	if err != nil {
		return Outcome{}, err
	}
	switch status := e.status(c); status {
	case StatusRunning:
		e.unlock(lock)
		return e.Attach(ctx, c.ID, a)
	case StatusCreated, StatusExited:
	default:
		e.unlock(lock)
		return Outcome{}, improper("start", c.ID, c.Name, status, "wait, or unpause it")
	}
	if err := e.startedByUser(ctx, c); err != nil {
		e.unlock(lock)
		return Outcome{}, err
	}
	return e.foreground(ctx, c, lock, a, nil)
}

// foreground starts a locked container, carries its streams, waits for its end
// and cleans up. While it holds the wait lock conmon's exit command does
// nothing; if this process is killed, the kernel drops the lock and it does.
func (e *Engine) foreground(ctx context.Context, c *state.Container, lock *state.Lock, a *AttachOptions, makeRoot rootMaker) (Outcome, error) {
	out := Outcome{ID: c.ID}
	hold, err := e.holdWait(c.ID)
	if err != nil {
		err = e.dropFailed(ctx, c, e.failStart(ctx, c, err))
		e.unlock(lock)
		return out, err
	}
	defer hold.Close()
	l, err := e.prepare(ctx, c, makeRoot)
	if err != nil {
		err = e.dropFailed(ctx, c, e.failStart(ctx, c, err))
		e.unlock(lock)
		return out, err
	}
	started := false
	begin := func() error {
		err := e.begin(ctx, c, l)
		if err == nil {
			started = true
			e.unlock(lock)
			running := *c
			go func() { _ = e.awaitReady(ctx, &running) }() // ends with the container, or with this process
		}
		return err
	}
	result, err := e.attach(ctx, c, a, begin)
	if !started {
		if err == nil {
			err = fmt.Errorf("container %s was not started", short(c.ID))
		}
		err = e.dropFailed(ctx, c, e.failStart(ctx, c, err))
		e.unlock(lock)
		return out, err
	}
	var killed *attach.SignalError
	if errors.As(err, &killed) {
		return out, errors.Join(&CodedError{Code: 128 + int(killed.Signal), Err: err}, e.releaseWait(ctx, c, hold))
	}
	if result.Detached {
		// Whoever leaves gives the clean-up back to conmon's exit command. An
		// end between the two is seen here.
		out.Detached = true
		return out, errors.Join(err, e.releaseWait(ctx, c, hold))
	}
	if err != nil {
		return out, err
	}
	return e.awaitEnd(ctx, c, out)
}

// holdWait takes the wait lock of a container.
func (e *Engine) holdWait(id string) (*os.File, error) {
	path := e.paths.waitLock(id)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make run directory of container %s: %w", short(id), err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // close-on-exec, as Go opens all files
	if err != nil {
		return nil, fmt.Errorf("open wait lock of container %s: %w", short(id), err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another command waits for container %s: %w", short(id), err), f.Close())
	}
	return f, nil
}

// releaseWait gives the wait lock up while the container runs on.
func (e *Engine) releaseWait(ctx context.Context, c *state.Container, hold *os.File) error {
	if err := hold.Close(); err != nil {
		return err
	}
	if c.Run.Init.Alive() {
		return nil
	}
	return e.Cleanup(ctx, c.ID)
}

// awaitEnd waits for the end of the container this process started, and cleans
// up behind it.
func (e *Engine) awaitEnd(ctx context.Context, c *state.Container, out Outcome) (Outcome, error) {
	err := step.Do(ctx, "wait", func() error {
		x, err := ociruntime.WaitExit(ctx, e.paths.container(c.ID), c.ID, c.Run.Init, c.Run.Conmon)
		out.Code = x.Code
		return err
	})
	if err != nil {
		return out, err
	}
	lock, err := e.lock(ctx, c.ID)
	if err != nil {
		return out, err
	}
	current, err := e.settle(ctx, c.ID)
	e.unlock(lock)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return out, nil // removed, as --rm asks
	}
	if err != nil {
		return out, err
	}
	if current.Last != nil && current.Run == nil {
		out.Code = current.Last.Code
	}
	return out, nil
}

// attach connects the caller's streams; begin runs once they are connected.
func (e *Engine) attach(ctx context.Context, c *state.Container, a *AttachOptions, begin func() error) (attach.Result, error) {
	if c.Spec.Log.Passthrough() {
		return attach.Result{}, e.stayBeside(ctx, c, a, begin)
	}
	dir := e.paths.container(c.ID)
	opts := attach.Options{
		Socket: ociruntime.AttachSocket(dir), Ctl: ociruntime.Ctl(dir), Terminal: c.Spec.Process.Terminal,
		Streams: a.Streams, DetachKeys: a.DetachKeys, Started: begin, Looped: true,
	}
	if !c.Spec.Process.Stdin {
		opts.Streams.In = nil
	}
	if a.SigProxy {
		opts.Kill = func(sig syscall.Signal) error { return e.signal(ctx, c, sig, false) }
	}
	return attach.Attach(ctx, opts)
}

// Attach connects to a container that runs.
func (e *Engine) Attach(ctx context.Context, nameOrID string, a *AttachOptions) (Outcome, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return Outcome{}, err
	}
	notRunning := func(status Status) error {
		return fmt.Errorf("you can only attach to running containers: %s is %s; start it first: %w", c.Name, status, ErrStateImproper)
	}
	if status := e.status(c); status != StatusRunning {
		return Outcome{}, notRunning(status)
	}
	out := Outcome{ID: c.ID}
	e.event(ctx, "attach", c)
	result, err := e.attach(ctx, c, a, nil)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return out, notRunning(StatusExited) // it has ended since it was looked up, and its monitor too
	}
	if err != nil {
		return out, err
	}
	if result.Detached {
		out.Detached = true
		return out, nil
	}
	code, err := e.waitOne(ctx, c)
	out.Code = code
	return out, err
}

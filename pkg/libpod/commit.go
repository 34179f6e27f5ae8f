package libpod

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// CommitOptions say how a container is read for an image.
type CommitOptions struct {
	// Pause stops the container while it is read; Squash makes a single layer.
	Pause, Squash bool
}

// ImageMaker makes an image of what Commit finds out about a container: see
// pkg/commit. Its methods are called in their order.
type ImageMaker interface {
	// Describe checks what is asked of an image of c on the image base, or if that is
	// empty, on none. It changes nothing.
	Describe(ctx context.Context, c *state.Container, base string) error
	// Spool keeps the archive of the layer, without the entries that drop names.
	Spool(ctx context.Context, r io.Reader, drop func(*tar.Header) bool) error
	// LayerID is the id that the layer will have in the store.
	LayerID(ctx context.Context) (string, error)
	// Commit makes the image and returns its id.
	Commit(ctx context.Context) (string, error)
	// Close gives up what Spool has kept, if anything.
	Close() error
}

// Commit has an image made of what a container has written, and of its description,
// and returns the image's id.
func (e *Engine) Commit(ctx context.Context, nameOrID string, opts CommitOptions, maker ImageMaker) (string, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	if err := e.checkCommit(c); err != nil {
		return "", err
	}
	base := c.ImageID
	if opts.Squash {
		base = ""
	}
	if err := maker.Describe(ctx, c, base); err != nil {
		return "", err
	}
	defer func() { _ = maker.Close() }() // nothing of it lasts
	if err := e.readLayer(ctx, c, maker, opts); err != nil {
		return "", fmt.Errorf("commit container %s: %w", c.Name, err)
	}
	layerID, err := maker.LayerID(ctx)
	if err != nil {
		return "", err
	}
	// A layer that a kill leaves without an image is found by its lock: see sweepCommits.
	lock, err := e.state.Lock(ctx, commitLock+layerID)
	if err != nil {
		return "", err
	}
	imageID, err := maker.Commit(ctx)
	if err := errors.Join(err, e.state.RemoveLock(lock)); err != nil {
		return "", err
	}
	e.event(ctx, events.Commit, c)
	return imageID, nil
}

// checkCommit says why no image can be made of a container.
func (e *Engine) checkCommit(c *state.Container) error {
	if !c.Spec.Layered() {
		return fmt.Errorf("cannot commit container %s, it runs on the directory %s: use `pod export` and `pod import`", c.Name, e.rootfsOf(c))
	}
	switch status := e.status(c); status {
	case StatusCreating, StatusRemoving:
		return improper("commit", c.ID, c.Name, status, "wait")
	}
	return nil
}

// readLayer reads what goes into the image, the container paused meanwhile.
func (e *Engine) readLayer(ctx context.Context, c *state.Container, maker ImageMaker, opts CommitOptions) error {
	if opts.Pause && e.status(c) == StatusRunning {
		defer e.holdStill(ctx, c)()
	}
	end := step.Begin(ctx, "commit.read")
	defer end()
	if opts.Squash {
		return e.readWhole(ctx, c, maker)
	}
	store, err := e.Storage()
	if err != nil {
		return err
	}
	diff, err := store.LayerDiff(ctx, c.ID)
	if err != nil {
		return err
	}
	return errors.Join(maker.Spool(ctx, diff, mountPoints(c)), diff.Close())
}

// readWhole reads the whole root file system.
func (e *Engine) readWhole(ctx context.Context, c *state.Container, maker ImageMaker) error {
	place, err := e.newPlace(ctx, c)
	if err != nil {
		return err
	}
	place.Running = isUp(e.status(c))
	return e.withRoot(ctx, c, func(root string) error {
		r, w := io.Pipe()
		wrote := make(chan error, 1)
		go func() {
			err := e.Files.Archive(root, place, w)
			_ = w.CloseWithError(err)
			wrote <- err
		}()
		err := maker.Spool(ctx, r, mountPoints(c))
		_ = r.CloseWithError(err)
		return errors.Join(err, <-wrote)
	})
}

// mountPoints says which entries of an archive are nothing but empty files that
// the runtime made to mount others on.
func mountPoints(c *state.Container) func(*tar.Header) bool {
	own := runtimePaths(c)
	return func(h *tar.Header) bool {
		return h.Typeflag == tar.TypeReg && h.Size == 0 && own["/"+strings.Trim(h.Name, "./")]
	}
}

// holdStill pauses a running container for this process. Where that cannot be it
// says so, and the container runs on. If the process is killed, whoever comes next
// lets the container go on.
func (e *Engine) holdStill(ctx context.Context, c *state.Container) (resume func()) {
	if c.Run.Cgroup == "" || e.cgroupPlan().manager == "" {
		e.warn(fmt.Sprintf("container %s is not paused while it is read, since it has no cgroup of its own here (%s): files that change meanwhile may be torn", c.Name, e.cgroupPlan().reason))
		return func() {}
	}
	if _, err := e.freeze(ctx, c.ID, true, process.Self()); err != nil {
		if current, lookupErr := e.state.Lookup(ctx, c.ID); lookupErr == nil && e.status(current) != StatusRunning {
			return func() {} // it has ended, or the user paused it
		}
		e.warn(fmt.Sprintf("container %s is not paused while it is read, files that change meanwhile may be torn: %v", c.Name, err))
		return func() {}
	}
	return func() {
		if _, err := e.freeze(context.WithoutCancel(ctx), c.ID, false, process.ID{}); err != nil && !errors.Is(err, ErrStateImproper) {
			e.warn(fmt.Sprintf("container %s stays paused: %v; try: pod unpause %s", c.Name, err, c.Name))
		}
	}
}

func (e *Engine) warn(line string) {
	if e.Warn != nil {
		e.Warn(line)
	}
}

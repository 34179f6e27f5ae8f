package libpod

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"

	imanifest "go.podman.io/image/v5/manifest"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/filecopy"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// CommitOptions say how an image is made of a container.
type CommitOptions struct {
	// Name of the image; empty leaves it without.
	Name                    string
	Author, Message, Format string
	// Changes are Containerfile instructions; Config is laid under them.
	Changes []string
	Config  *image.Config
	// IncludeVolumes makes the container's mounts volumes of the image.
	IncludeVolumes bool
	// Pause stops the container while it is read; Squash makes a single layer.
	Pause, Squash bool
	// Progress receives what happens, unless nil.
	Progress io.Writer
}

// Commit makes an image of what a container has written, and of its description,
// and returns the image's id.
func (e *Engine) Commit(ctx context.Context, nameOrID string, opts CommitOptions) (string, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	commit, err := e.describeCommit(ctx, c, opts)
	if err != nil {
		return "", err
	}
	images, err := e.Images()
	if err != nil {
		return "", err
	}
	layer, err := e.readLayer(ctx, c, images, opts)
	if err != nil {
		return "", fmt.Errorf("commit container %s: %w", c.Name, err)
	}
	defer func() { _ = layer.Close() }() // nothing of it lasts
	if commit.LayerID, err = images.LayerID(ctx, layer, commit.Base); err != nil {
		return "", err
	}
	// A layer that a kill leaves without an image is found by its lock: see sweepCommits.
	lock, err := e.state.Lock(ctx, commitLock+commit.LayerID)
	if err != nil {
		return "", err
	}
	imageID, err := images.Commit(ctx, layer, commit)
	if err := errors.Join(err, e.state.RemoveLock(lock)); err != nil {
		return "", err
	}
	e.event(ctx, events.Commit, c)
	return imageID, nil
}

// describeCommit checks what is asked and makes the configuration of the image.
// It changes nothing.
func (e *Engine) describeCommit(ctx context.Context, c *state.Container, opts CommitOptions) (*image.CommitOptions, error) {
	if !c.Spec.Layered() {
		return nil, fmt.Errorf("cannot commit container %s, it runs on the directory %s: use `pod export` and `pod import`", c.Name, e.rootfsOf(c))
	}
	switch status := e.status(c); status {
	case StatusCreating, StatusRemoving:
		return nil, improper("commit", c.ID, c.Name, status, "wait")
	}
	out := &image.CommitOptions{
		Base: c.ImageID, Name: opts.Name, Author: opts.Author, Message: opts.Message, Format: opts.Format,
		Progress:  opts.Progress,
		CreatedBy: strings.Join(commandLine(c), " "),
	}
	if opts.Squash {
		out.Base = ""
	}
	if err := image.CheckCommit(out); err != nil {
		return nil, err
	}
	changes, err := image.ParseChanges(opts.Changes)
	if err != nil {
		return nil, fmt.Errorf("--change: %w", err)
	}
	images, err := e.Images()
	if err != nil {
		return nil, err
	}
	if c.ImageID != "" {
		if out.Config, err = images.BaseConfig(ctx, c.ImageID); err != nil {
			return nil, err
		}
	}
	containerConfig(&out.Config, c, opts.IncludeVolumes)
	if opts.Config != nil {
		image.MergeConfig(&out.Config, opts.Config)
	}
	image.MergeConfig(&out.Config, changes)
	return out, nil
}

// containerConfig lays the description of a container over its image's.
func containerConfig(to *image.Config, c *state.Container, volumes bool) {
	p := &c.Spec.Process
	to.Env, to.Cmd, to.Entrypoint = p.Env, p.Command, p.Entrypoint
	to.User, to.WorkingDir, to.StopSignal = p.User, p.WorkDir, p.StopSignal
	to.Labels = maps.Clone(c.Spec.Labels)
	if c.Unit != "" {
		delete(to.Labels, policy.UnitName) // it is the container's, not that of what is made of it
	}
	to.Hostname, to.Domainname, to.Image = "", "", ""
	var over image.Config
	over.ExposedPorts = imanifest.Schema2PortSet{}
	for _, exposed := range c.Spec.Network.Expose {
		if !strings.Contains(exposed, "/") {
			exposed += "/tcp"
		}
		over.ExposedPorts[imanifest.Schema2Port(exposed)] = struct{}{}
	}
	for _, published := range c.Spec.Network.Ports {
		for i := range published.Range {
			port := strconv.Itoa(int(published.ContainerPort+i)) + "/" + published.Protocol
			over.ExposedPorts[imanifest.Schema2Port(port)] = struct{}{}
		}
	}
	if volumes {
		over.Volumes = map[string]struct{}{}
		for _, m := range c.Spec.Storage.Mounts {
			if m.Type != "tmpfs" {
				over.Volumes[m.Destination] = struct{}{}
			}
		}
	}
	image.MergeConfig(to, &over)
}

// readLayer reads what goes into the image, the container paused meanwhile.
func (e *Engine) readLayer(ctx context.Context, c *state.Container, images *image.Store, opts CommitOptions) (_ *image.Layer, err error) {
	if opts.Pause && e.status(c) == StatusRunning {
		defer e.holdStill(ctx, c)()
	}
	end := step.Begin(ctx, "commit.read")
	defer end()
	if opts.Squash {
		return e.readWhole(ctx, c, images)
	}
	store, err := e.Storage()
	if err != nil {
		return nil, err
	}
	diff, err := store.LayerDiff(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	layer, err := images.Spool(ctx, diff, mountPoints(c))
	return layer, errors.Join(err, diff.Close())
}

// readWhole reads the whole root file system.
func (e *Engine) readWhole(ctx context.Context, c *state.Container, images *image.Store) (layer *image.Layer, err error) {
	place, err := e.newPlace(ctx, c)
	if err != nil {
		return nil, err
	}
	place.Running = isUp(e.status(c))
	err = e.withRoot(ctx, c, func(root string) error {
		r, w := io.Pipe()
		wrote := make(chan error, 1)
		go func() {
			err := filecopy.Archive(root, place, w)
			_ = w.CloseWithError(err)
			wrote <- err
		}()
		layer, err = images.Spool(ctx, r, mountPoints(c))
		_ = r.CloseWithError(err)
		return errors.Join(err, <-wrote)
	})
	return layer, err
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

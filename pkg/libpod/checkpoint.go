package libpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/checkpoint"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/filecopy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// CheckpointOptions say how a running container is written to files.
type CheckpointOptions struct {
	// Export is an archive to write; Compress is zstd (""), gzip or none.
	Export, Compress string
	// IgnoreRootfs and IgnoreVolumes leave their content out of the archive.
	IgnoreRootfs, IgnoreVolumes bool
	// Keep keeps CRIU's logs and statistics beside the images.
	Keep         bool
	LeaveRunning bool
	// TCPEstablished and FileLocks are what else CRIU is to keep.
	TCPEstablished, FileLocks bool
}

// CheckpointReport is what --print-stats shows of one container.
type CheckpointReport struct {
	ID       string
	Duration time.Duration
	CRIU     checkpoint.Stats
}

// checkpointed is the description in an archive. What the container may do is no
// part of it: see restoredSpec.
type checkpointed struct {
	Name        string            `json:"name"`
	Image       string            `json:"image"`
	ImageID     string            `json:"image_id"`
	Runtime     string            `json:"runtime"`
	Spec        specgen.Container `json:"spec"`
	HasRootDiff bool              `json:"has_root_diff"`
}

// checkpointReady says why this user or machine cannot checkpoint or restore.
func (e *Engine) checkpointReady(verb string) error {
	if e.Session.Rootless {
		return fmt.Errorf("%s a container requires root: CRIU cannot do it for an ordinary user; run pod as root", verb)
	}
	if _, err := exec.LookPath("criu"); err != nil {
		return fmt.Errorf("%s a container needs CRIU: install the package criu (and libcriu2, for crun)", verb)
	}
	return nil
}

// checkpointDir holds what belongs to the checkpoint of a container; it goes with
// the container.
func (e *Engine) checkpointDir(id string) (string, error) {
	store, err := e.Storage()
	if err != nil {
		return "", err
	}
	return filepath.Join(store.ContainerDir(id), "pod-checkpoint"), nil
}

// Checkpoint writes a running container's processes to files and, unless they are
// to go on, ends them.
func (e *Engine) Checkpoint(ctx context.Context, nameOrID string, opts CheckpointOptions) (*CheckpointReport, error) {
	if err := e.checkpointReady("checkpointing"); err != nil {
		return nil, err
	}
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	if status := e.status(c); status != StatusRunning {
		return nil, improper("checkpoint", c.ID, c.Name, status, "only a running container can be checkpointed")
	}
	if c.Spec.Remove && opts.Export == "" && !opts.LeaveRunning {
		return nil, fmt.Errorf("cannot checkpoint container %s, which is removed when it ends (--rm): write an archive with --export", c.Name)
	}
	if !c.Spec.Layered() && opts.Export != "" {
		return nil, fmt.Errorf("cannot export a checkpoint of container %s: it runs on a directory, not on an image", c.Name)
	}
	if err := checkCompress(opts.Compress); err != nil {
		return nil, err
	}
	if manyHierarchies() && !opts.LeaveRunning {
		e.warn(noRestore)
	}
	report := &CheckpointReport{ID: c.ID}
	dir, err := e.dump(ctx, c, opts, report)
	if err != nil {
		return nil, err
	}
	if opts.Export != "" {
		err = step.Do(ctx, "checkpoint.export", func() error { return e.exportCheckpoint(ctx, c, dir, opts) })
		if opts.LeaveRunning || err == nil {
			err = errors.Join(err, os.RemoveAll(dir)) // it is in the archive
		}
	}
	e.event(ctx, events.Checkpoint, c)
	if opts.LeaveRunning {
		return report, err
	}
	_, settleErr := e.settle(ctx, c.ID)
	if isAbsent(settleErr) {
		settleErr = nil
	}
	return report, errors.Join(err, settleErr)
}

func checkCompress(kind string) error {
	switch kind {
	case "", "zstd", "gzip", "none":
		return nil
	}
	return fmt.Errorf("selected compression algorithm (%q) not supported: use zstd, gzip or none", kind)
}

// dump has the runtime write the process images, and returns their directory.
func (e *Engine) dump(ctx context.Context, c *state.Container, opts CheckpointOptions, report *CheckpointReport) (string, error) {
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return "", err
	}
	dir, err := e.checkpointDir(c.ID)
	if err != nil {
		return "", err
	}
	images := filepath.Join(dir, checkpoint.Images)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(images, 0o700)); err != nil {
		return "", fmt.Errorf("make directory of the checkpoint: %w", err)
	}
	if !opts.LeaveRunning { // its end is what the user wants
		if err := e.markStopping(ctx, c); err != nil {
			return "", err
		}
	}
	begin := time.Now()
	err = step.Do(ctx, "checkpoint.dump", func() error {
		return runtime.Checkpoint(ctx, c.ID, ociruntime.CheckpointOptions{
			Images: images, Work: dir, LeaveRunning: opts.LeaveRunning, TCPEstablished: opts.TCPEstablished,
			FileLocks: opts.FileLocks,
		})
	})
	if err != nil {
		c.Run.Stopping = false
		// The log stays, since the runtime's message names it.
		err = fmt.Errorf("%w%s", err, criuReason(filepath.Join(dir, "dump.log")))
		return "", errors.Join(err, e.state.SetRun(ctx, c.ID, c.Run), os.RemoveAll(images))
	}
	report.Duration = time.Since(begin)
	report.CRIU, _ = checkpoint.ReadStats(filepath.Join(dir, "stats-dump")) // numbers for those who ask
	if !opts.Keep {
		_ = os.Remove(filepath.Join(dir, "dump.log"))
		_ = os.Remove(filepath.Join(dir, "stats-dump"))
	}
	return dir, nil
}

// noRestore is why a checkpoint is of no use on such a machine: CRIU restores
// every hierarchy, crun 1.21 does not pass on that it shall not.
const noRestore = "this machine has version 1 cgroups beside version 2, on which CRIU cannot restore containers; a machine with version 2 alone can"

// manyHierarchies says that version 1 cgroups are in use beside version 2.
func manyHierarchies() bool {
	data, err := os.ReadFile("/proc/self/cgroup")
	return err == nil && strings.Count(strings.TrimSpace(string(data)), "\n") > 0
}

// criuReason is why CRIU did not do it, from its log, for a message.
func criuReason(log string) string {
	f, err := os.Open(log)
	if err != nil {
		return ""
	}
	defer f.Close()
	if reason := checkpoint.Reason(f); reason != "" {
		return ": CRIU: " + reason
	}
	return ""
}

// exportCheckpoint adds to the directory what an archive has beside the images,
// and writes it.
func (e *Engine) exportCheckpoint(ctx context.Context, c *state.Container, dir string, opts CheckpointOptions) error {
	spec, err := deepCopy(&c.Spec)
	if err != nil {
		return err
	}
	ownLabels(c, spec)
	about := checkpointed{
		Name: c.Name, Image: c.ImageName, ImageID: c.ImageID, Runtime: c.Spec.Runtime, Spec: *spec, HasRootDiff: !opts.IgnoreRootfs,
	}
	data, err := json.Marshal(about)
	if err != nil {
		return fmt.Errorf("encode the description of %s: %w", c.Name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, checkpoint.Description), data, 0o600); err != nil {
		return fmt.Errorf("write the description of %s: %w", c.Name, err)
	}
	if !opts.IgnoreRootfs {
		if err := e.exportDiff(ctx, c, filepath.Join(dir, checkpoint.RootDiff)); err != nil {
			return err
		}
	}
	if !opts.IgnoreVolumes {
		for _, m := range c.Spec.Storage.Mounts {
			if m.Type != "volume" {
				continue
			}
			path := filepath.Join(dir, checkpoint.Volumes, m.Source+".tar")
			if err := toFile(path, func(w io.Writer) error { return e.Files.Archive(e.volumeDir(m.Source), &filecopy.Place{}, w) }); err != nil {
				return fmt.Errorf("write volume %s: %w", m.Source, err)
			}
		}
	}
	key, err := e.checkpointKey()
	if err != nil {
		return err
	}
	return toFile(opts.Export, func(w io.Writer) error { return checkpoint.Write(w, key, opts.Compress, dir) })
}

func (e *Engine) exportDiff(ctx context.Context, c *state.Container, path string) error {
	store, err := e.Storage()
	if err != nil {
		return err
	}
	diff, err := store.LayerDiff(ctx, c.ID)
	if err != nil {
		return err
	}
	err = toFile(path, func(w io.Writer) error { _, err := io.Copy(w, diff); return err })
	return errors.Join(err, diff.Close())
}

// toFile writes a file that others cannot read: it may hold secrets of processes.
func toFile(path string, write func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(path)
		}
	}()
	return write(f)
}

package libpod

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/checkpoint"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// RestoreOptions say how a container goes on from its checkpoint.
type RestoreOptions struct {
	// Import is an archive to make the container of.
	Import string
	// Name, Pod and Publish are those of the new container.
	Name    string
	Pod     string
	Publish []specgen.PortMapping
	// Image finds the configuration of the image that an archive names.
	Image func(ctx context.Context, name, id string) (specgen.ImageConfig, error)
	// IgnoreRootfs and IgnoreVolumes leave what an archive has of them alone.
	IgnoreRootfs, IgnoreVolumes bool
	// Keep keeps the checkpoint for another time.
	Keep bool
	// TCPEstablished and FileLocks as at the checkpoint.
	TCPEstablished, FileLocks bool
}

// maxDescription bounds the description in an archive.
const maxDescription = 4 << 20

// Restore lets a checkpointed container go on.
func (e *Engine) Restore(ctx context.Context, nameOrID string, opts RestoreOptions) (*CheckpointReport, error) {
	if err := e.checkpointReady("restoring"); err != nil {
		return nil, err
	}
	c, lock, err := e.lockContainer(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	return e.restore(ctx, c, opts)
}

// restore starts a locked container from its checkpoint.
func (e *Engine) restore(ctx context.Context, c *state.Container, opts RestoreOptions) (*CheckpointReport, error) {
	if status := e.status(c); status != StatusExited && status != StatusCreated {
		return nil, improper("restore", c.ID, c.Name, status, "only a stopped container can be restored")
	}
	dir, err := e.checkpointDir(c.ID)
	if err != nil {
		return nil, err
	}
	images := filepath.Join(dir, checkpoint.Images)
	if !complete(dir) {
		return nil, fmt.Errorf("container %s has no checkpoint: make one with `pod container checkpoint`", c.Name)
	}
	l := &launch{restore: &ociruntime.CheckpointOptions{
		Images: images, TCPEstablished: opts.TCPEstablished, FileLocks: opts.FileLocks,
	}}
	begin := time.Now()
	err = e.prepareLaunch(ctx, c, nil, l)
	if err == nil && l.net != nil {
		err = e.finishNetwork(ctx, c, l)
	}
	if err != nil {
		if opts.Import != "" {
			err = withoutLog(err) // which goes with the container
		}
		err = fmt.Errorf("%w%s", err, criuReason(filepath.Join(e.paths.container(c.ID), "restore.log")))
		if manyHierarchies() {
			err = fmt.Errorf("%w (%s)", err, noRestore)
		}
		return nil, e.failStart(ctx, c, err)
	}
	report := &CheckpointReport{ID: c.ID, Duration: time.Since(begin)}
	report.CRIU, _ = checkpoint.ReadStats(filepath.Join(e.paths.container(c.ID), "stats-restore")) // numbers for those who ask
	e.rotateLog(ctx, c)
	if err := e.markRunning(ctx, c); err != nil {
		return nil, err
	}
	e.event(ctx, events.Restore, c)
	if !opts.Keep {
		return report, os.RemoveAll(dir)
	}
	return report, nil
}

// complete says whether there is a checkpoint in its directory: of one that went
// wrong only a log is there.
func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, checkpoint.Images, "inventory.img"))
	return err == nil
}

// withoutLog takes from a runtime's message that its reader should look into
// CRIU's log.
func withoutLog(err error) error {
	var failed *ociruntime.Error
	if errors.As(err, &failed) {
		short := *failed
		short.Message, _, _ = strings.Cut(short.Message, " Please check CRIU logfile")
		return &short
	}
	return err
}

// Import makes a container of an archive and lets it go on. Nothing of an archive
// is used before its seal has proven that this store, or one with the same key,
// wrote it.
func (e *Engine) Import(ctx context.Context, opts RestoreOptions) (*CheckpointReport, error) {
	if err := e.checkpointReady("restoring"); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(e.paths.run, "import-")
	if err != nil {
		return nil, fmt.Errorf("make directory of the import: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	about, err := e.readArchive(ctx, opts.Import, work)
	if err != nil {
		return nil, err
	}
	spec, err := restoredSpec(about, opts)
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", opts.Import, err)
	}
	img, err := opts.Image(ctx, about.Image, about.ImageID)
	if err != nil {
		return nil, err
	}
	if img.ID != about.ImageID {
		return nil, fmt.Errorf("import %s: image %s is not the one the checkpoint was made on (%s)", opts.Import, about.Image, short(about.ImageID))
	}
	for _, m := range spec.Storage.Mounts {
		if m.Type == "volume" && m.Source != "" {
			if _, err := e.state.VolumeNamed(ctx, m.Source); err == nil {
				return nil, fmt.Errorf("volume with name %s already exists: remove it, or use --ignore-volumes for an empty one in its place", m.Source)
			}
		}
	}
	c, err := e.Create(ctx, spec, img)
	if err != nil {
		return nil, err
	}
	var report *CheckpointReport
	if err = e.startNeeded(ctx, c, map[string]bool{}); err == nil { // the infra container of a pod
		report, err = e.fillAndRestore(ctx, c, work, about, opts)
	}
	if err != nil {
		_, removeErr := e.Remove(context.WithoutCancel(ctx), c.ID, RemoveOptions{Force: true, Volumes: true})
		if isAbsent(removeErr) {
			removeErr = nil
		}
		return nil, errors.Join(err, removeErr)
	}
	return report, nil
}

func (e *Engine) readArchive(ctx context.Context, path, work string) (*checkpointed, error) {
	key, err := e.checkpointKey()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("import %s: it is no regular file", path)
	}
	err = step.Do(ctx, "restore.unpack", func() error { return checkpoint.Read(f, key, work) })
	if errors.Is(err, checkpoint.ErrSeal) {
		return nil, fmt.Errorf("import %s: %w: it was written elsewhere or changed, and would decide what its processes may do; "+
			"to move containers between machines you trust, give both the same %s", path, err, e.checkpointKeyPath())
	}
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", path, err)
	}
	desc, err := os.Open(filepath.Join(work, checkpoint.Description))
	if err != nil {
		return nil, fmt.Errorf("import %s: it has no description", path)
	}
	defer desc.Close()
	out := &checkpointed{}
	if err := json.NewDecoder(io.LimitReader(desc, maxDescription)).Decode(out); err != nil {
		return nil, fmt.Errorf("import %s: its description: %w", path, err)
	}
	return out, nil
}

// restoredSpec is the description of a container that an archive is made into. It
// takes what the processes are, and nothing of what they may do or reach: no
// security setting, namespace, device, annotation, hook, host path, port or limit.
// Those are the defaults, or the caller's.
func restoredSpec(about *checkpointed, opts RestoreOptions) (*specgen.Container, error) {
	old := &about.Spec
	spec := &specgen.Container{
		Name: opts.Name, Image: about.Image, Runtime: "", Labels: old.Labels,
		Process: specgen.Process{
			Entrypoint: old.Process.Entrypoint, Command: old.Process.Command, Env: old.Process.Env, WorkDir: old.Process.WorkDir,
			User: old.Process.User, Terminal: old.Process.Terminal, Stdin: old.Process.Stdin, Umask: old.Process.Umask,
			StopSignal: old.Process.StopSignal, StopTimeout: old.Process.StopTimeout,
		},
	}
	spec.Network.Hostname, spec.Network.Ports = old.Network.Hostname, opts.Publish
	if old.Network.Mode == "none" { // the only one that gives nothing
		spec.Network.Mode = old.Network.Mode
	}
	spec.Storage.ImageVolume = "ignore"      // they are among the mounts
	if spec.Pod = opts.Pod; spec.Pod != "" { // whose host name and network it has
		spec.Network.Hostname, spec.Network.Mode = "", ""
	}
	if spec.Name == "" {
		spec.Name = about.Name
	}
	for _, m := range old.Storage.Mounts {
		switch m.Type {
		case "tmpfs":
		case "volume":
			if opts.IgnoreVolumes {
				m.Source = ""
			}
			m.SubPath = ""
		default:
			return nil, fmt.Errorf("the container had %s of the host at %s, which an archive cannot ask for: checkpoint it without --export", m.Source, m.Destination)
		}
		m.Options = slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == "dev" || o == "suid" || o == "U" })
		spec.Storage.Mounts = append(spec.Storage.Mounts, m)
	}
	return spec, nil
}

// fillAndRestore gives a new container what an archive has for it, and starts it.
func (e *Engine) fillAndRestore(ctx context.Context, c *state.Container, work string, about *checkpointed, opts RestoreOptions) (*CheckpointReport, error) {
	c, lock, err := e.lockContainer(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	if about.HasRootDiff && !opts.IgnoreRootfs {
		if err := step.Do(ctx, "restore.rootfs", func() error { return e.applyDiff(ctx, c, filepath.Join(work, checkpoint.RootDiff)) }); err != nil {
			return nil, err
		}
	}
	if !opts.IgnoreVolumes {
		if err := step.Do(ctx, "restore.volumes", func() error { return e.fillVolumes(c, work) }); err != nil {
			return nil, err
		}
	}
	dir, err := e.checkpointDir(c.ID)
	if err != nil {
		return nil, err
	}
	if err := copyDir(filepath.Join(work, checkpoint.Images), filepath.Join(dir, checkpoint.Images)); err != nil {
		return nil, fmt.Errorf("unpack the checkpoint: %w", err)
	}
	return e.restore(ctx, c, opts)
}

func (e *Engine) applyDiff(ctx context.Context, c *state.Container, path string) error {
	store, err := e.Storage()
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("unpack the file system: %w", err)
	}
	defer f.Close()
	return store.ApplyDiff(ctx, c.ID, f)
}

// fillVolumes fills the container's volumes, which are new, in a child whose root
// each is.
func (e *Engine) fillVolumes(c *state.Container, work string) error {
	for _, m := range c.Spec.Storage.Mounts {
		if m.Type != "volume" {
			continue
		}
		f, err := os.Open(filepath.Join(work, checkpoint.Volumes, m.Source+".tar"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("unpack volume %s: %w", m.Source, err)
		}
		err = errors.Join(e.Files.Unpack(e.volumeDir(m.Source), f), f.Close())
		if err != nil {
			return fmt.Errorf("unpack volume %s: %w", m.Source, err)
		}
	}
	return nil
}

// copyDir copies the regular files of a directory of pod's own.
func copyDir(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		in, err := os.Open(filepath.Join(from, entry.Name()))
		if err != nil {
			return err
		}
		err = toFile(filepath.Join(to, entry.Name()), func(w io.Writer) error { _, err := io.Copy(w, in); return err })
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
	}
	return nil
}

// checkpointKeyPath is the key that seals archives; who has it is trusted.
func (e *Engine) checkpointKeyPath() string {
	return filepath.Join(e.GraphRoot, "pod", "checkpoint.key")
}

// checkpointKey reads the key, and makes one if there is none.
func (e *Engine) checkpointKey() ([]byte, error) {
	path := e.checkpointKeyPath()
	for {
		key, err := os.ReadFile(path)
		if err == nil && len(key) < keyLength {
			return nil, fmt.Errorf("%s is damaged: remove it; archives that were written with it are void then", path)
		}
		if err == nil {
			return key, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read the key of checkpoints: %w", err)
		}
		fresh := make([]byte, keyLength)
		if _, err := rand.Read(fresh); err != nil {
			return nil, err
		}
		tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
		if err := toFile(tmp, func(w io.Writer) error { _, err := w.Write(fresh); return err }); err != nil {
			return nil, fmt.Errorf("make the key of checkpoints: %w", err)
		}
		err = os.Link(tmp, path) // the first one holds
		if err = errors.Join(os.Remove(tmp), err); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("make the key of checkpoints: %w", err)
		}
	}
}

// keyLength in bytes, of the key of checkpoints.
const keyLength = 32

// Checkpointed keeps the ids of containers that have a checkpoint.
func (e *Engine) Checkpointed(ids []string) ([]string, error) {
	var kept []string
	for _, id := range ids {
		dir, err := e.checkpointDir(id)
		if err != nil {
			return nil, err
		}
		if complete(dir) {
			kept = append(kept, id)
		}
	}
	return kept, nil
}

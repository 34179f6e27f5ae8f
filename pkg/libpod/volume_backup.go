package libpod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/volume"
	"github.com/rootless-pod/pod/pkg/volume/backup"
)

// BackupVolume writes a volume as an archive that proves itself. Containers that may
// write to it are paused meanwhile, so that the archive is of one moment; with live they
// run on.
func (e *Engine) BackupVolume(ctx context.Context, name string, live bool, w io.Writer) (err error) {
	v, err := e.Volume(ctx, name)
	if err != nil {
		return err
	}
	held := map[string]bool{}
	if !live {
		// Before any lock of the volume's: who has both takes the container's first.
		defer func() {
			for id := range held {
				err = errors.Join(err, e.resumeWriter(context.WithoutCancel(ctx), id))
			}
		}()
		if err := e.holdWriters(ctx, v.Name, held); err != nil {
			return err
		}
	}
	return e.withVolume(ctx, v.Name, func(v *state.Volume) error {
		about := backup.About{Volume: v.Name, Labels: v.Labels, Created: time.Now().UTC(), Live: live}
		if err := step.Do(ctx, "volume.backup", func() error { return backup.Write(w, v.Mountpoint, about) }); err != nil {
			return fmt.Errorf("back up volume %s: %w", v.Name, err)
		}
		if !live {
			if err := e.checkHeld(ctx, v.Name, held); err != nil {
				return err
			}
		}
		e.write(ctx, events.Event{Type: events.Volume, Status: events.Export, Name: v.Name})
		return nil
	})
}

// writers are the containers that run, and may write to a volume.
func (e *Engine) writers(ctx context.Context, name string) ([]*state.Container, error) {
	users, err := e.state.VolumeUsers(ctx, name)
	if err != nil {
		return nil, err
	}
	var out []*state.Container
	for _, id := range users {
		c, err := e.state.Get(ctx, id)
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if e.status(c) == StatusRunning && mayWrite(c, name) {
			out = append(out, c)
		}
	}
	return out, nil
}

func mayWrite(c *state.Container, name string) bool {
	for _, m := range c.Spec.Storage.Mounts {
		_, own := m.Split()
		if m.Type == "volume" && m.Source == name && !m.ReadOnly() && !own.Overlay {
			return true
		}
	}
	return false
}

// holdWriters pauses the containers that may write, and notes which. A container that
// cannot be paused is an error: a copy that may be torn is no backup.
func (e *Engine) holdWriters(ctx context.Context, name string, held map[string]bool) error {
	writers, err := e.writers(ctx, name)
	if err != nil {
		return err
	}
	for _, c := range writers {
		if _, err := e.freeze(ctx, c.ID, true, process.Self()); err != nil {
			if now, getErr := e.state.Get(ctx, c.ID); isAbsent(getErr) || getErr == nil && e.status(now) != StatusRunning {
				continue // it has ended, or somebody paused it
			}
			return fmt.Errorf("container %s writes to volume %s and cannot be paused while that is read: %w: stop it, or use --live for a copy whose files may be torn", c.Name, name, err)
		}
		held[c.ID] = true
	}
	return nil
}

func (e *Engine) resumeWriter(ctx context.Context, id string) error {
	if _, err := e.freeze(ctx, id, false, process.ID{}); err != nil && !errors.Is(err, ErrStateImproper) && !isAbsent(err) {
		return fmt.Errorf("container %s stays paused: %w: try pod unpause %s", short(id), err, short(id))
	}
	return nil
}

// checkHeld finds writers that came while the volume was read.
func (e *Engine) checkHeld(ctx context.Context, name string, held map[string]bool) error {
	writers, err := e.writers(ctx, name)
	if err != nil {
		return err
	}
	for _, c := range writers {
		if !held[c.ID] {
			return fmt.Errorf("container %s began to run on volume %s while that was read: try again", c.Name, name)
		}
	}
	return nil
}

// RestoreVolume makes the content of a backup that of a volume, which is made if it is
// not there. The old content stays until the new one is whole and proven; then they
// change places in one step.
func (e *Engine) RestoreVolume(ctx context.Context, name string, r io.Reader) error {
	archive, err := backup.Open(r)
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // what was read is proven
	if name == "" {
		name = archive.About.Volume
	}
	lock, err := e.lockVolume(ctx, name)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	v, err := e.restorable(ctx, name, archive.About.Labels)
	if err != nil {
		return err
	}
	if err := e.restoreInto(ctx, v, archive); err != nil {
		sweep := e.volumePlace(v.Name).Sweep
		if v.Making {
			sweep = func() error { return e.dropVolume(context.WithoutCancel(ctx), v) }
		}
		return errors.Join(err, sweep())
	}
	e.write(ctx, events.Event{Type: events.Volume, Status: events.Import, Name: v.Name})
	return nil
}

// restorable is the volume that a backup may go into; a new one, if there is none, is
// being made until it has the content.
func (e *Engine) restorable(ctx context.Context, name string, labels map[string]string) (*state.Volume, error) {
	v, err := e.settledVolume(ctx, name)
	var absent state.ErrNoVolume
	if errors.As(err, &absent) {
		if err := volume.CheckName(name); err != nil {
			return nil, err
		}
		v, options, err := e.describeVolume(VolumeOptions{Name: name, Labels: labels})
		if err != nil {
			return nil, err
		}
		v.Making = true
		return v, e.addVolume(ctx, v, options)
	}
	if err != nil {
		return nil, err
	}
	if _, mounted, err := needsMount(v); err != nil || mounted {
		return nil, errors.Join(err, fmt.Errorf("volume %s mounts its content, which cannot change places in one step: restore into a plain volume, of another name", name))
	}
	return v, e.checkResting(ctx, name)
}

// settledVolume is the volume of a name, whose lock is held, without one that a killed
// restore was making.
func (e *Engine) settledVolume(ctx context.Context, name string) (*state.Volume, error) {
	v, err := e.volumeNamed(ctx, name)
	if err != nil || !v.Making {
		return v, err
	}
	if err := e.dropVolume(context.WithoutCancel(ctx), v); err != nil {
		return nil, err
	}
	return nil, state.ErrNoVolume{Name: name}
}

// checkResting refuses to change a volume under containers that run.
func (e *Engine) checkResting(ctx context.Context, name string) error {
	users, err := e.state.VolumeUsers(ctx, name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(users, func(id string) bool {
		c, err := e.state.Get(ctx, id)
		return err == nil && c.Run != nil && e.status(c) != StatusExited && e.status(c) != StatusCreated
	})
	if i >= 0 {
		return coded(2, "volume %s is being used by the running container %s: stop it first: volume is being used", name, short(users[i]))
	}
	if e.volumeMounts(name) > 0 {
		return coded(2, "volume %s is mounted by `pod volume mount`: take that back with `pod volume unmount %s`: volume is being used", name, name)
	}
	return nil
}

func (e *Engine) restoreInto(ctx context.Context, v *state.Volume, archive *backup.Archive) error {
	place := e.volumePlace(v.Name)
	if err := place.Sweep(); err != nil {
		return err
	}
	err := step.Do(ctx, "volume.stage", func() error {
		if err := place.Stage(); err != nil {
			return err
		}
		return archive.Restore(place.Staging())
	})
	if err != nil {
		return fmt.Errorf("restore volume %s: %w", v.Name, err)
	}
	// What takes the old content's place must be on the disk before that goes.
	if err := step.Do(ctx, "volume.sync", func() error { return syncTree(place.Staging()) }); err != nil {
		return err
	}
	if err := e.checkResting(ctx, v.Name); err != nil {
		return err
	}
	if err := step.Do(ctx, "volume.swap", place.Swap); err != nil {
		return err
	}
	v.Making, v.NeedsCopyUp, v.NeedsChown = false, false, false // the backup has decided
	if err := step.Do(ctx, "volume.settle", func() error { return e.state.UpdateVolume(ctx, v) }); err != nil {
		return err
	}
	return step.Do(ctx, "volume.sweep", func() error {
		return errors.Join(syncTree(string(place)), place.Sweep())
	})
}

// syncTree puts the file system of a directory on the disk.
func syncTree(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

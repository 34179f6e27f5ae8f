package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/volume"
	"github.com/rootless-pod/pod/pkg/volume/plugin"
)

// volumePlugin returns the plugin of this name.
func (e *Engine) volumePlugin(name, driver string) (*plugin.Plugin, error) {
	socket, ok := e.Config.Engine.VolumePlugins[driver]
	if !ok {
		return nil, fmt.Errorf("volume %s uses volume plugin %s but it could not be retrieved: no volume plugin with name %s available: required plugin missing: name its socket in [engine.volume_plugins] of containers.conf", name, driver, driver)
	}
	return plugin.New(driver, socket, e.Config.Engine.VolumePluginTimeout), nil
}

// needsMount says whether a volume is one that has to be mounted, by its driver or its
// options; then what these say.
func needsMount(v *state.Volume) (*volume.Options, bool, error) {
	if v.Driver == volume.Local && len(v.Options) == 0 {
		return nil, false, nil // nearly all are
	}
	options, err := volume.Parse(v.Driver, v.Options)
	if err != nil {
		return nil, false, fmt.Errorf("volume %s: %w", v.Name, err)
	}
	return options, v.Driver != volume.Local || options.Mounts(), nil
}

// mountVolume has the content of a volume, whose lock is held, in its place. What
// is mounted is asked of the kernel, so that nothing is counted wrong after a kill.
func (e *Engine) mountVolume(ctx context.Context, v *state.Volume) error {
	place := e.volumePlace(v.Name)
	if err := place.Make(v.UID, v.GID); err != nil {
		return err
	}
	options, needed, err := needsMount(v)
	if err != nil || !needed {
		return err
	}
	if mounted, err := volume.Mounted(place.Data()); err != nil || mounted {
		return err
	}
	return step.Do(ctx, "volume.mount", func() error {
		switch v.Driver {
		case volume.Local:
			return options.Mount(ctx, place.Data(), e.Session.Rootless)
		case volume.Image:
			return e.mountImageVolume(ctx, v)
		}
		p, err := e.volumePlugin(v.Name, v.Driver)
		if err != nil {
			return err
		}
		source, err := p.Mount(ctx, v.Name)
		if err != nil {
			return err
		}
		return volume.Bind(source, place.Data())
	})
}

// mountImageVolume binds the store's mount and takes that back: no count of the
// store's is left wrong by a kill.
func (e *Engine) mountImageVolume(ctx context.Context, v *state.Volume) error {
	store, err := e.Storage()
	if err != nil {
		return err
	}
	at, err := store.Mount(ctx, v.StorageID)
	if err != nil {
		return err
	}
	err = volume.Bind(at, e.volumeDir(v.Name))
	_, unmountErr := store.Unmount(context.WithoutCancel(ctx), v.StorageID, true)
	return errors.Join(err, unmountErr)
}

// unmountVolume takes the content of a volume, whose lock is held, from its place.
func (e *Engine) unmountVolume(ctx context.Context, v *state.Volume) error {
	if _, needed, err := needsMount(v); err == nil && !needed {
		return e.countVolumeMounts(v.Name, 0)
	}
	mounted, err := volume.Mounted(e.volumeDir(v.Name))
	if err != nil {
		return err
	}
	if err := volume.Unmount(e.volumeDir(v.Name)); err != nil {
		return err
	}
	if mounted && v.Driver != volume.Local && v.Driver != volume.Image {
		p, err := e.volumePlugin(v.Name, v.Driver)
		if err != nil {
			return err
		}
		if err := p.Unmount(ctx, v.Name); err != nil {
			return err
		}
	}
	return e.countVolumeMounts(v.Name, 0)
}

// releaseVolumes unmounts what the run of c was the last to need. Others count by
// their runs, which are recorded before they mount.
func (e *Engine) releaseVolumes(ctx context.Context, c *state.Container) error {
	var errs []error
	for _, m := range c.Spec.Storage.Mounts {
		if m.Type != "volume" {
			continue
		}
		v, err := e.state.VolumeNamed(ctx, m.Source)
		var absent state.ErrNoVolume
		if errors.As(err, &absent) {
			continue
		}
		if err == nil {
			var needed bool
			if _, needed, err = needsMount(v); err == nil && needed {
				err = e.releaseVolume(ctx, v, c.ID)
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// releaseVolume unmounts a volume if no run but that of the container, and no user,
// needs it.
func (e *Engine) releaseVolume(ctx context.Context, v *state.Volume, container string) error {
	lock, err := e.lockVolume(ctx, v.Name)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	return e.releaseLocked(ctx, v, container)
}

// releaseLocked is releaseVolume with the volume's lock held.
func (e *Engine) releaseLocked(ctx context.Context, v *state.Volume, container string) error {
	needed, err := e.volumeRuns(ctx, v.Name, container)
	if err != nil || needed > 0 || e.volumeMounts(v.Name) > 0 {
		return err
	}
	return step.Do(ctx, "volume.unmount", func() error { return e.unmountVolume(ctx, v) })
}

// settleVolumes unmounts the volumes that killed commands left mounted, and removes
// what they had begun to make: a directory without a record, if nothing is in it yet.
func (e *Engine) settleVolumes(ctx context.Context) error {
	entries, err := os.ReadDir(e.paths.volumes)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read directory of the volumes: %w", err)
	}
	all, err := e.Volumes(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, v := range all {
		known[v.Name] = true
	}
	for _, entry := range entries {
		if !known[entry.Name()] && entry.IsDir() {
			e.dropClaim(ctx, entry.Name())
		}
	}
	var errs []error
	for _, v := range all {
		errs = append(errs, e.settleRestore(ctx, v))
		_, needed, err := needsMount(v)
		if err != nil || !needed {
			continue // a damaged record is shown by those who use it
		}
		if mounted, err := volume.Mounted(v.Mountpoint); err == nil && mounted {
			errs = append(errs, e.releaseVolume(ctx, v, ""))
		}
	}
	return errors.Join(errs...)
}

// settleRestore removes what a killed restore left. One at work holds the lock.
func (e *Engine) settleRestore(ctx context.Context, v *state.Volume) error {
	if _, err := os.Lstat(e.volumePlace(v.Name).Staging()); err != nil && !v.Making {
		return nil //nolint:nilerr // nothing is left
	}
	lock, ok, err := e.state.TryLock(volumeLock(v.Name))
	if err != nil || !ok {
		return err
	}
	defer e.unlock(lock)
	if v, err = e.state.VolumeNamed(ctx, v.Name); err != nil {
		var absent state.ErrNoVolume
		if errors.As(err, &absent) {
			return nil
		}
		return err
	}
	if v.Making {
		return e.dropVolume(ctx, v)
	}
	return e.volumePlace(v.Name).Sweep()
}

// dropClaim removes the empty directory of a volume that was never recorded.
func (e *Engine) dropClaim(ctx context.Context, name string) {
	lock, err := e.lockVolume(ctx, name)
	if err != nil {
		return
	}
	defer e.unlock(lock)
	var absent state.ErrNoVolume
	if _, err := e.state.VolumeNamed(ctx, name); errors.As(err, &absent) {
		_ = unix.Rmdir(string(e.volumePlace(name))) // only an empty one goes
	}
}

// volumeRuns counts the runs that need a volume, but for that of one container.
func (e *Engine) volumeRuns(ctx context.Context, name, but string) (int, error) {
	users, err := e.state.VolumeUsers(ctx, name)
	if err != nil {
		return 0, err
	}
	count := 0
	for _, id := range users {
		c, err := e.state.Get(ctx, id)
		if isAbsent(err) || id == but {
			continue
		}
		if err != nil {
			return 0, err
		}
		if c.Run != nil && c.Run.Phase != state.PhaseCreating && c.Run.Phase != state.PhaseRemoving {
			count++
		}
	}
	return count, nil
}

// MountVolume mounts a volume for the user and says where; each call needs one of
// UnmountVolume.
func (e *Engine) MountVolume(ctx context.Context, name string) (string, error) {
	v, err := e.Volume(ctx, name)
	if err != nil {
		return "", err
	}
	lock, err := e.lockVolume(ctx, v.Name)
	if err != nil {
		return "", err
	}
	defer e.unlock(lock)
	if v, err = e.volumeNamed(ctx, v.Name); err != nil {
		return "", err
	}
	count := e.volumeMounts(v.Name)
	if err := e.countVolumeMounts(v.Name, count+1); err != nil {
		return "", err
	}
	if err := e.mountVolume(ctx, v); err != nil {
		return "", errors.Join(fmt.Errorf("mount volume %s: %w", v.Name, err), e.countVolumeMounts(v.Name, count))
	}
	e.write(ctx, events.Event{Type: events.Volume, Status: events.Mount, Name: v.Name})
	return v.Mountpoint, nil
}

// UnmountVolume takes back one mount of the user's.
func (e *Engine) UnmountVolume(ctx context.Context, name string) (string, error) {
	v, err := e.Volume(ctx, name)
	if err != nil {
		return "", err
	}
	lock, err := e.lockVolume(ctx, v.Name)
	if err != nil {
		return "", err
	}
	defer e.unlock(lock)
	if err := e.countVolumeMounts(v.Name, e.volumeMounts(v.Name)-1); err != nil {
		return "", err
	}
	if err := e.releaseLocked(ctx, v, ""); err != nil {
		return "", err
	}
	e.write(ctx, events.Event{Type: events.Volume, Status: events.Unmount, Name: v.Name})
	return v.Name, nil
}

// volumeMountFile counts the mounts of a volume that its user asked for; they end
// with the boot, as the file does.
func (e *Engine) volumeMountFile(name string) string {
	return filepath.Join(e.paths.run, "v", name)
}

func (e *Engine) volumeMounts(name string) int {
	data, err := os.ReadFile(e.volumeMountFile(name))
	if err != nil {
		return 0
	}
	boot, number, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	count, err := strconv.Atoi(number)
	if err != nil || boot != e.state.BootID() {
		return 0
	}
	return max(count, 0)
}

func (e *Engine) countVolumeMounts(name string, count int) error {
	path := e.volumeMountFile(name)
	if count <= 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("count mounts of volume %s: %w", name, err)
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("count mounts of volume %s: %w", name, err)
	}
	if err := os.WriteFile(path, []byte(e.state.BootID()+" "+strconv.Itoa(count)), 0o600); err != nil {
		return fmt.Errorf("count mounts of volume %s: %w", name, err)
	}
	return nil
}

package libpod

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
	"github.com/rootless-pod/pod/pkg/volume"
)

// VolumeOptions describe a volume to make.
type VolumeOptions struct {
	Name string
	// Driver is local, image or the name of a plugin; empty is local.
	Driver  string
	Options map[string]string
	Labels  map[string]string
	// UID and GID own it; nil leaves that to the first container.
	UID, GID  *int
	Anonymous bool
	// Ignore takes a volume that exists for the new one.
	Ignore bool
}

// CreateVolume makes a volume.
func (e *Engine) CreateVolume(ctx context.Context, opts VolumeOptions) (*state.Volume, error) {
	if opts.Name == "" {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		opts.Name, opts.Anonymous = id, true
	}
	if err := volume.CheckName(opts.Name); err != nil {
		return nil, err
	}
	lock, err := e.lockVolume(ctx, opts.Name)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	if have, err := e.settledVolume(ctx, opts.Name); err == nil {
		if opts.Ignore {
			return have, nil
		}
		return nil, state.ErrVolumeInUse{Name: opts.Name}
	}
	v, options, err := e.describeVolume(opts)
	if err != nil {
		return nil, err
	}
	return v, e.addVolume(ctx, v, options)
}

// describeVolume checks what is asked; it changes nothing.
func (e *Engine) describeVolume(opts VolumeOptions) (*state.Volume, *volume.Options, error) {
	if opts.Driver == "" {
		opts.Driver = volume.Local
	}
	options, err := volume.Parse(opts.Driver, opts.Options)
	if err != nil {
		return nil, nil, err
	}
	v := &state.Volume{
		Name: opts.Name, Created: time.Now().UTC(), Driver: opts.Driver, Labels: opts.Labels, Options: opts.Options,
		Anonymous: opts.Anonymous, NeedsCopyUp: true, NeedsChown: true,
	}
	if options.UID == nil {
		options.UID = opts.UID
	}
	if options.GID == nil {
		options.GID = opts.GID
	}
	if options.UID != nil {
		v.UID, v.NeedsChown = *options.UID, false
	}
	if options.GID != nil {
		v.GID, v.NeedsChown = *options.GID, false
	}
	switch v.Driver {
	case volume.Local:
		err = options.Check()
	case volume.Image:
		v.StorageID, err = newID()
	default:
		v.NeedsCopyUp, v.NeedsChown = false, false
		_, err = e.volumePlugin(v.Name, v.Driver)
	}
	return v, options, err
}

// addVolume makes what was described. The record comes before anything that would
// not be found without it; the directory, empty, before the record, since it may be
// another tool's.
func (e *Engine) addVolume(ctx context.Context, v *state.Volume, options *volume.Options) error {
	place := e.volumePlace(v.Name)
	err := step.Do(ctx, "volume.claim", place.Claim)
	if errors.Is(err, volume.ErrForeign) {
		return fmt.Errorf("volume %s: directory %s is there already and is not pod's, but podman's perhaps: take another name, or remove it with the tool that made it", v.Name, place)
	}
	if err != nil {
		return err
	}
	if err := step.Do(ctx, "volume.record", func() error { return e.state.AddVolume(ctx, v) }); err != nil {
		return errors.Join(err, place.Remove())
	}
	err = step.Do(ctx, "volume.make", func() error { return e.fillPlace(ctx, v, options) })
	if err != nil {
		return errors.Join(err, e.undoVolume(context.WithoutCancel(ctx), v))
	}
	v.Mountpoint = place.Data()
	e.write(ctx, events.Event{Type: events.Volume, Status: events.Create, Name: v.Name, Attributes: v.Labels})
	return nil
}

// undoVolume removes what a failed addVolume made. What a plugin may have made for it
// is left: it has just failed, and nothing says that the volume was not there before.
func (e *Engine) undoVolume(ctx context.Context, v *state.Volume) error {
	if v.Driver != volume.Local && v.Driver != volume.Image {
		return errors.Join(e.volumePlace(v.Name).Remove(), e.state.RemoveVolume(ctx, v.Name))
	}
	return e.dropVolume(ctx, v)
}

// fillPlace makes what belongs to a volume of its driver. It may be done again.
func (e *Engine) fillPlace(ctx context.Context, v *state.Volume, options *volume.Options) error {
	if err := e.volumePlace(v.Name).Make(v.UID, v.GID); err != nil {
		return err
	}
	switch v.Driver {
	case volume.Local:
		return nil
	case volume.Image:
		return e.makeImageVolume(ctx, v, options)
	}
	plugin, err := e.volumePlugin(v.Name, v.Driver)
	if err != nil {
		return err
	}
	return plugin.Create(ctx, v.Name, v.Options)
}

// makeImageVolume makes the layer that is written over the image, as a container of
// the store: so the image stays as long as the volume, also for other tools.
func (e *Engine) makeImageVolume(ctx context.Context, v *state.Volume, options *volume.Options) error {
	images, err := e.Images()
	if err != nil {
		return err
	}
	img, err := images.Resolve(ctx, options.Image)
	if err != nil {
		return err
	}
	store, err := e.Storage()
	if err != nil {
		return err
	}
	return store.CreateContainer(ctx, storage.ContainerOptions{
		ID: v.StorageID, ImageID: img.ID, Name: v.Name + "+volume", Created: v.Created, RunDir: e.paths.run,
	})
}

// Volume returns the volume that a name or a unique prefix of it means.
func (e *Engine) Volume(ctx context.Context, name string) (*state.Volume, error) {
	return e.placed(e.state.Volume(ctx, name))
}

// volumeNamed returns the volume with exactly this name.
func (e *Engine) volumeNamed(ctx context.Context, name string) (*state.Volume, error) {
	return e.placed(e.state.VolumeNamed(ctx, name))
}

func (e *Engine) placed(v *state.Volume, err error) (*state.Volume, error) {
	if err != nil {
		return nil, err
	}
	v.Mountpoint = e.volumeDir(v.Name)
	return v, nil
}

// Volumes lists all volumes.
func (e *Engine) Volumes(ctx context.Context) ([]*state.Volume, error) {
	all, err := e.state.Volumes(ctx)
	for _, v := range all {
		v.Mountpoint = e.volumeDir(v.Name)
	}
	return all, err
}

// VolumeUsers lists the containers that use the volume.
func (e *Engine) VolumeUsers(ctx context.Context, name string) ([]string, error) {
	return e.state.VolumeUsers(ctx, name)
}

// RemoveVolume removes the volume and what is in it; with force also the
// containers that use it, which get timeout seconds to end.
func (e *Engine) RemoveVolume(ctx context.Context, name string, force bool, timeout *uint) error {
	v, err := e.state.Volume(ctx, name)
	if err != nil {
		return err
	}
	users, err := e.state.VolumeUsers(ctx, v.Name)
	if err != nil {
		return err
	}
	if len(users) > 0 && force {
		if users, err = e.RemovalOrder(ctx, users); err != nil {
			return err
		}
		for _, id := range users {
			if _, err := e.Remove(ctx, id, RemoveOptions{Force: true, Needed: true, Timeout: timeout}); err != nil && !isAbsent(err) {
				return err
			}
		}
	}
	return e.WithReserve(func() error { return e.removeUnused(ctx, v.Name, force) })
}

// removeUnused removes a volume that no container uses.
func (e *Engine) removeUnused(ctx context.Context, name string, force bool) error {
	lock, err := e.lockVolume(ctx, name)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	v, err := e.state.VolumeNamed(ctx, name)
	var absent state.ErrNoVolume
	if errors.As(err, &absent) && force {
		return nil // it was a container's own, and went with it
	}
	if err != nil {
		return err
	}
	users, err := e.state.VolumeUsers(ctx, v.Name)
	if err != nil {
		return err
	}
	if len(users) > 0 {
		return coded(2, "volume %s is being used by the following container(s): %s: remove them first, or use --force: volume is being used", v.Name, short(users[0]))
	}
	if count := e.volumeMounts(v.Name); count > 0 && !force {
		return coded(2, "volume %s is mounted by `pod volume mount`: take that back with `pod volume unmount %s`, or use --force: volume is being used", v.Name, v.Name)
	}
	ctx = context.WithoutCancel(ctx)
	err = e.dropVolume(ctx, v)
	if err != nil && force && v.Driver != volume.Local && v.Driver != volume.Image {
		e.warn(fmt.Sprintf("volume %s is forgotten, and its plugin may have it still: %v", v.Name, err))
		return e.undoVolume(ctx, v)
	}
	return err
}

// dropVolume removes content and record, the record last. What is mounted in a
// volume is unmounted, and never touched: a bind's directory is the host's.
func (e *Engine) dropVolume(ctx context.Context, v *state.Volume) error {
	if err := step.Do(ctx, "volume.unmount", func() error { return e.unmountVolume(ctx, v) }); err != nil {
		return err
	}
	err := step.Do(ctx, "volume.remove", func() error {
		if err := e.dropDriven(ctx, v); err != nil {
			return err
		}
		return e.volumePlace(v.Name).Remove()
	})
	if err != nil {
		return fmt.Errorf("remove volume %s: %w", v.Name, err)
	}
	if err := step.Do(ctx, "volume.forget", func() error { return e.state.RemoveVolume(ctx, v.Name) }); err != nil {
		return err
	}
	e.write(ctx, events.Event{Type: events.Volume, Status: events.Remove, Name: v.Name})
	return nil
}

// dropDriven removes what the driver keeps.
func (e *Engine) dropDriven(ctx context.Context, v *state.Volume) error {
	switch v.Driver {
	case volume.Local:
		return nil
	case volume.Image:
		store, err := e.Storage()
		if err != nil {
			return err
		}
		if _, err := store.Unmount(ctx, v.StorageID, true); err != nil && !errors.Is(err, storage.ErrNoContainer) {
			return err
		}
		return store.Delete(ctx, v.StorageID)
	}
	plugin, err := e.volumePlugin(v.Name, v.Driver)
	if err != nil {
		return err
	}
	return plugin.Remove(ctx, v.Name)
}

func (e *Engine) volumePlace(name string) volume.Place {
	return volume.Place(filepath.Join(e.paths.volumes, name))
}

// volumeDir is where the content of a volume is, mounted or its own.
func (e *Engine) volumeDir(name string) string { return e.volumePlace(name).Data() }

// lockVolume waits for the lock of a volume. Who has a container's too takes that
// first.
func (e *Engine) lockVolume(ctx context.Context, name string) (*state.Lock, error) {
	return e.state.Lock(ctx, volumeLock(name))
}

func volumeLock(name string) string {
	if len(name) > 200 { // a file has the name
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return "volume-" + name
}

// makeVolumes makes the volumes of a container that are not there yet. Names of
// anonymous ones go into its record.
func (e *Engine) makeVolumes(ctx context.Context, c *state.Container) error {
	for i := range c.Spec.Storage.Mounts {
		m := &c.Spec.Storage.Mounts[i]
		if m.Type != "volume" {
			continue
		}
		opts := VolumeOptions{Name: m.Source, Driver: m.Driver, Options: m.DriverOptions, Labels: m.Labels, Ignore: true}
		if m.Source == "" {
			name, err := newID()
			if err != nil {
				return err
			}
			m.Source = name
			c.AnonymousVolumes = append(c.AnonymousVolumes, name)
			// The container's record first: a kill in between leaves none behind.
			if err := e.state.Update(ctx, c); err != nil {
				return err
			}
			opts.Name, opts.Anonymous = name, true
		}
		// Under the volume's lock: who removes volumes that nobody uses has either
		// seen this container, or is done.
		if _, err := e.CreateVolume(ctx, opts); err != nil {
			return err
		}
		e.markVolume(m.Source, time.Now())
	}
	return nil
}

// dropVolumes removes the anonymous volumes of a container, unless another one
// took them over (--volumes-from).
func (e *Engine) dropVolumes(ctx context.Context, c *state.Container) error {
	for _, name := range c.AnonymousVolumes {
		if err := e.dropAnonymous(ctx, c.ID, name); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) dropAnonymous(ctx context.Context, owner, name string) error {
	lock, err := e.lockVolume(ctx, name)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	users, err := e.state.VolumeUsers(ctx, name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(users, func(id string) bool { return id != owner }) {
		return nil
	}
	v, err := e.state.VolumeNamed(ctx, name)
	var absent state.ErrNoVolume
	if errors.As(err, &absent) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.dropVolume(ctx, v)
}

// usesVolumes says whether a container has volumes.
func usesVolumes(c *state.Container) bool {
	return !c.Spec.Pause() && slices.ContainsFunc(c.Spec.Storage.Mounts, func(m specgen.Mount) bool { return m.Type == "volume" })
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// VolumeOptions describe a volume to make.
type VolumeOptions struct {
	Name      string
	Labels    map[string]string
	Anonymous bool
}

var volumeName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// CreateVolume makes a volume of the local driver.
func (e *Engine) CreateVolume(ctx context.Context, opts VolumeOptions) (*state.Volume, error) {
	if opts.Name == "" {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		opts.Name, opts.Anonymous = id, true
	}
	if !volumeName.MatchString(opts.Name) {
		return nil, fmt.Errorf("volume name %q is invalid: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*", opts.Name)
	}
	v := &state.Volume{
		Name: opts.Name, Created: time.Now().UTC(), Driver: "local", Labels: opts.Labels,
		Anonymous: opts.Anonymous, NeedsCopyUp: true,
	}
	// The record first: a directory without a record is never found again.
	if err := e.state.AddVolume(ctx, v); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(e.volumeDir(v.Name), 0o755); err != nil { //nolint:gosec // users of the container go in
		return nil, errors.Join(fmt.Errorf("make volume %s: %w", v.Name, err), e.state.RemoveVolume(ctx, v.Name))
	}
	v.Mountpoint = e.volumeDir(v.Name)
	e.write(ctx, events.Event{Type: events.Volume, Status: events.Create, Name: v.Name, Attributes: v.Labels})
	return v, nil
}

// Volume returns the volume that a name or a unique prefix of it means.
func (e *Engine) Volume(ctx context.Context, name string) (*state.Volume, error) {
	v, err := e.state.Volume(ctx, name)
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
// containers that use it.
func (e *Engine) RemoveVolume(ctx context.Context, name string, force bool) error {
	v, err := e.state.Volume(ctx, name)
	if err != nil {
		return err
	}
	users, err := e.state.VolumeUsers(ctx, v.Name)
	if err != nil {
		return err
	}
	if len(users) > 0 && !force {
		return coded(2, "volume %s is being used by the following container(s): %s: remove them first, or use --force: volume is being used", v.Name, short(users[0]))
	}
	if users, err = e.RemovalOrder(ctx, users); err != nil {
		return err
	}
	for _, id := range users {
		if _, err := e.Remove(ctx, id, RemoveOptions{Force: true, Needed: true}); err != nil {
			return err
		}
	}
	return e.WithReserve(func() error { return e.dropVolume(ctx, v.Name) })
}

// dropVolume removes content and record, the record last.
func (e *Engine) dropVolume(ctx context.Context, name string) error {
	if err := os.RemoveAll(filepath.Dir(e.volumeDir(name))); err != nil {
		return fmt.Errorf("remove volume %s: %w", name, err)
	}
	if err := e.state.RemoveVolume(ctx, name); err != nil {
		return err
	}
	e.write(ctx, events.Event{Type: events.Volume, Status: events.Remove, Name: name})
	return nil
}

func (e *Engine) volumeDir(name string) string {
	return filepath.Join(e.paths.volumes, name, "_data")
}

// makeVolumes makes the volumes of a container that are not there yet. Names of
// anonymous ones go into its record.
func (e *Engine) makeVolumes(ctx context.Context, c *state.Container) error {
	for i := range c.Spec.Storage.Mounts {
		m := &c.Spec.Storage.Mounts[i]
		if m.Type != "volume" {
			continue
		}
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
			if _, err := e.CreateVolume(ctx, VolumeOptions{Name: name, Anonymous: true}); err != nil {
				return err
			}
			continue
		}
		if _, err := e.state.Volume(ctx, m.Source); err == nil {
			e.markVolume(m.Source, time.Now())
			continue
		}
		var exists state.ErrVolumeInUse
		if _, err := e.CreateVolume(ctx, VolumeOptions{Name: m.Source}); err != nil && !errors.As(err, &exists) {
			return err
		}
	}
	return nil
}

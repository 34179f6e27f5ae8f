package libpod

import (
	"context"
	"strings"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/volume"
)

// InspectVolume tells all about a volume.
func (e *Engine) InspectVolume(ctx context.Context, name string) (*InspectVolume, error) {
	v, err := e.Volume(ctx, name)
	if err != nil {
		return nil, err
	}
	return e.ShowVolume(ctx, v)
}

// ShowVolume is InspectVolume of a volume that was looked up.
func (e *Engine) ShowVolume(ctx context.Context, v *state.Volume) (*InspectVolume, error) {
	out := &InspectVolume{
		Name: v.Name, Driver: v.Driver, Mountpoint: v.Mountpoint, CreatedAt: v.Created, Labels: orEmpty(v.Labels),
		Scope: "local", Options: orEmpty(v.Options), UID: v.UID, GID: v.GID, Anonymous: v.Anonymous,
		NeedsCopyUp: v.NeedsCopyUp, NeedsChown: v.NeedsChown, StorageID: v.StorageID,
	}
	options, needed, err := needsMount(v)
	if err != nil {
		return nil, err
	}
	if options != nil {
		out.Options = orEmpty(options.Recorded)
	}
	if needed { // else nothing counts
		runs, err := e.volumeRuns(ctx, v.Name, "")
		if err != nil {
			return nil, err
		}
		out.MountCount = uint(runs) //nolint:gosec // a number of things
	}
	out.MountCount += uint(e.volumeMounts(v.Name)) //nolint:gosec // as above
	if v.Driver == volume.Local || v.Driver == volume.Image {
		return out, nil
	}
	out.Timeout = e.Config.Engine.VolumePluginTimeout
	p, err := e.volumePlugin(v.Name, v.Driver)
	if err != nil {
		return out, nil //nolint:nilerr // its plugin is gone, and the rest is known
	}
	told, err := p.Get(ctx, v.Name)
	if err != nil {
		e.warn(strings.TrimSpace(err.Error()))
		return out, nil
	}
	out.Status = told.Status
	return out, nil
}

// orLocal is the driver of a mount that names none.
func orLocal(driver string) string {
	if driver == "" {
		return volume.Local
	}
	return driver
}

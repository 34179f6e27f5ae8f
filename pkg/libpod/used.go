package libpod

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/rootless-pod/pod/internal/lastuse"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/volume"
)

// usedUntil is the end of a container's use of its image and its volumes, when
// it is about to be removed: now, if it runs or has ended just now.
func usedUntil(c *state.Container) time.Time {
	if c.Run != nil && c.Run.Phase != state.PhaseRemoving {
		return time.Now()
	}
	return LastActive(c)
}

// Idle are the containers at rest, with the time since which they are.
func (e *Engine) Idle(ctx context.Context) (map[string]time.Time, error) {
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	idle := map[string]time.Time{}
	for _, c := range all {
		switch e.status(c) {
		case StatusCreated, StatusExited:
			idle[c.ID] = LastActive(c)
		}
	}
	return idle, nil
}

// markUsed notes until when a container used what it held. Its beginning was
// noted when it was made.
func (e *Engine) markUsed(c *state.Container, until time.Time) {
	if c.ImageID != "" {
		lastuse.MarkAt(e.GraphRoot, c.ImageID, until)
	}
	for _, m := range c.Spec.Storage.Mounts {
		if m.Type == "volume" {
			e.markVolume(m.Source, until)
		}
	}
}

// markVolume notes that a volume was used, as the time of the directory that
// holds its content. It is a note in passing, and nothing fails without it.
func (e *Engine) markVolume(name string, at time.Time) {
	dir := filepath.Dir(e.volumeDir(name))
	if info, err := os.Lstat(dir); err == nil && info.ModTime().Before(at) {
		_ = os.Chtimes(dir, at, at)
	}
}

// VolumeSize is what a volume takes of the store. What it mounts is not the store's.
func (e *Engine) VolumeSize(ctx context.Context, v *state.Volume) int64 {
	if v.Driver == volume.Image {
		if store, err := e.Storage(); err == nil {
			size, _ := store.Size(ctx, v.StorageID) // one that cannot be read holds nothing
			return size
		}
		return 0
	}
	if _, driven, err := needsMount(v); err != nil || driven {
		return 0
	}
	return DirSize(e.volumeDir(v.Name))
}

// VolumeLastUsed is when a container with this volume was last made or removed.
func (e *Engine) VolumeLastUsed(v *state.Volume) time.Time {
	if info, err := os.Lstat(filepath.Dir(e.volumeDir(v.Name))); err == nil {
		return info.ModTime()
	}
	return v.Created
}

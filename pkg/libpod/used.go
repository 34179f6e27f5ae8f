package libpod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/lastuse"
	"github.com/rootless-pod/pod/internal/timeparse"
	"github.com/rootless-pod/pod/pkg/libpod/state"
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

// VolumeLastUsed is when a container with this volume was last made or removed.
func (e *Engine) VolumeLastUsed(v *state.Volume) time.Time {
	if info, err := os.Lstat(filepath.Dir(e.volumeDir(v.Name))); err == nil {
		return info.ModTime()
	}
	return v.Created
}

// volumeMatcher compiles filters of volumes. All of them must hold.
func (e *Engine) volumeMatcher(filters []string) (func(*state.Volume) bool, error) {
	var all []func(*state.Volume) bool
	for _, f := range filters {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "label", "label!":
			name, want, valued := strings.Cut(value, "=")
			all = append(all, func(v *state.Volume) bool {
				have, ok := v.Labels[name]
				return (ok && (!valued || have == want)) == (key == "label")
			})
		case "until":
			at, err := timeparse.Parse(value, time.Now())
			if err != nil {
				return nil, err
			}
			all = append(all, func(v *state.Volume) bool { return v.Created.Before(at) })
		case "unused-for":
			span, err := timeparse.Span(value)
			if err != nil {
				return nil, fmt.Errorf("filter unused-for: %w", err)
			}
			all = append(all, func(v *state.Volume) bool { return time.Since(e.VolumeLastUsed(v)) >= span })
		default:
			return nil, fmt.Errorf("%q is an invalid volume filter: use label, until or unused-for", key)
		}
	}
	return func(v *state.Volume) bool {
		for _, holds := range all {
			if !holds(v) {
				return false
			}
		}
		return true
	}, nil
}

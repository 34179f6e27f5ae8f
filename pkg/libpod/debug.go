package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/filecopy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// DebugRoot is where a debug container has the root file system of what it
// debugs.
const DebugRoot = "/target"

// Debug completes the description of a debug container for the container that
// nameOrID means. One that runs is joined in all its namespaces but that of
// mounts; of one that does not, the root file system is mounted with a scratch
// layer. False: there is no such container.
func (e *Engine) Debug(ctx context.Context, nameOrID string, spec *specgen.Container) (bool, error) {
	target, err := e.state.Lookup(ctx, nameOrID)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if spec.Name, err = debugName(target.Name); err != nil {
		return false, err
	}
	switch status := e.status(target); status {
	case StatusRunning, StatusPaused:
		if runtime, err := e.runtime(target.Spec.Runtime); err == nil && runtime.IsSandbox() {
			return true, fmt.Errorf("container %s runs in %s, whose processes have no namespaces of this kernel to join: use pod exec", target.Name, runtime.Name)
		}
		joinTarget(target, spec)
		if spec.Spaces.UTS != "host" {
			spec.Network.Hostname = e.hostname(target)
		}
		return true, nil
	case StatusCreated, StatusExited:
		spec.Spaces.User = target.Spec.Spaces.User
		spec.Storage.Mounts = append(spec.Storage.Mounts, specgen.Mount{Type: "scratch", Source: "container:" + target.ID, Destination: DebugRoot})
		return true, nil
	default:
		return true, improper("debug", target.ID, target.Name, status, "wait until it runs or has stopped")
	}
}

// DebugImage completes the description of a debug container for an image.
func (e *Engine) DebugImage(img specgen.ImageConfig, spec *specgen.Container) error {
	name, _, _ := strings.Cut(filepath.Base(img.Name), ":")
	if spec.Name = "debug-" + name; specgen.CheckName(spec.Name) != nil {
		name = short(img.ID)
	}
	var err error
	if spec.Name, err = debugName(name); err != nil {
		return err
	}
	spec.Storage.Mounts = append(spec.Storage.Mounts, specgen.Mount{Type: "scratch", Source: "image:" + img.ID, Destination: DebugRoot})
	return nil
}

func debugName(of string) (string, error) {
	id, err := newID()
	return "debug-" + of + "-" + id[:4], err
}

// joinTarget makes the namespaces of a running container those of the one that
// debugs it. What the target shares with the host is shared the same way.
func joinTarget(target *state.Container, spec *specgen.Container) {
	join := "container:" + target.ID
	spec.Debugs = target.ID
	spec.Spaces = specgen.Spaces{PID: join, IPC: join, UTS: join}
	for _, s := range []struct {
		theirs string
		ours   *string
	}{{target.Spec.Spaces.PID, &spec.Spaces.PID}, {target.Spec.Spaces.IPC, &spec.Spaces.IPC}, {target.Spec.Spaces.UTS, &spec.Spaces.UTS}} {
		if s.theirs == "host" {
			*s.ours = "host"
		}
	}
	spec.Network.Mode = join
	if target.Spec.Network.Mode == "host" {
		spec.Network.Mode = "host"
	}
	if user := target.Spec.Spaces.User; user != "" && user != "host" {
		spec.Spaces.User = join
	}
}

// linkTarget puts the link to the target's root file system into that of its debug
// container. It is a link, not a mount: nothing has to be unmounted, and the
// kernel asks at each use whether the user may look into the target. What the
// image of tools has in its place stays.
func (e *Engine) linkTarget(ctx context.Context, c *state.Container, root string) (err error) {
	target, err := e.running(ctx, c.Spec.Debugs, "debug")
	if err != nil {
		return err
	}
	inside, err := innerPID(target.Run.Init.PID)
	if err != nil {
		return fmt.Errorf("debug container %s: %w", target.Name, err)
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("open root file system: %w", err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	err = dir.Symlink("/proc/"+inside+"/root", strings.TrimPrefix(DebugRoot, "/"))
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("link %s: %w", DebugRoot, err)
	}
	return nil
}

// innerPID is a process's pid in its own pid namespace, which the kernel names
// last.
func innerPID(pid int) (string, error) {
	numbers, err := process.Numbers(pid)
	if err != nil {
		return "", err
	}
	if len(numbers) == 0 {
		return "", fmt.Errorf("process %d: the kernel names no pid in a namespace", pid)
	}
	return numbers[len(numbers)-1], nil
}

// overlays makes the scratch mounts of a container.
func (e *Engine) overlays(ctx context.Context, c *state.Container, maps idMaps) (map[string][]string, error) {
	var all map[string][]string
	for i, m := range c.Spec.Storage.Mounts {
		if m.Type != "scratch" {
			continue
		}
		o := storage.Scratch{Owner: c.ID, Name: fmt.Sprintf("scratch%d", i), UserXattr: e.Session.Rootless}
		kind, id, _ := strings.Cut(m.Source, ":")
		if kind == "image" {
			o.Image = id
		} else {
			target, err := e.state.Get(ctx, id)
			if err != nil {
				return nil, err
			}
			o.Container, o.Dir = target.ID, target.Spec.Rootfs
			if target.Spec.Pause() {
				o.Dir = e.pauseRoot(target.ID)
			}
		}
		uid, err := filecopy.Outer(maps.uid, 0)
		if err != nil {
			return nil, err
		}
		gid, err := filecopy.Outer(maps.gid, 0)
		if err != nil {
			return nil, err
		}
		o.UID, o.GID = int(uid), int(gid)
		store, err := e.Storage()
		if err != nil {
			return nil, err
		}
		options, err := store.Overlay(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Destination, err)
		}
		if all == nil {
			all = map[string][]string{}
		}
		all[m.Destination] = options
	}
	return all, nil
}

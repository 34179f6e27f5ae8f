package libpod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/health"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// A container without a unit is made anew by an update in steps that can be taken
// back as long as the new one has not proven itself: the old one is put aside,
// the new one made and started beside it, and one of the two removed.

// UpdateLock keeps other updates out, until unlock is called; who finds it taken
// is told, and waits.
func (e *Engine) UpdateLock(ctx context.Context) (unlock func(), err error) {
	const name = "auto-update"
	lock, ok, err := e.state.TryLock(name)
	if err == nil && !ok {
		e.Tell("another auto-update is at work: waiting for it", false)
		lock, err = e.state.Lock(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	return func() { e.unlock(lock) }, nil
}

// UpdateUnit is the unit to restart for an update of a container: that of the pod
// it is in, as the field has it, or else its own. Only what pod recorded counts.
func (e *Engine) UpdateUnit(ctx context.Context, c *state.Container) (string, error) {
	if c.Spec.Pod == "" {
		return c.Unit, nil
	}
	p, err := e.state.Pod(ctx, c.Spec.Pod)
	if err != nil || p.InfraID == "" {
		return c.Unit, err
	}
	infra, err := e.state.Get(ctx, p.InfraID)
	if err != nil || infra.Unit == "" {
		return c.Unit, err
	}
	return infra.Unit, nil
}

// Health is what is known of a container's health.
func (e *Engine) Health(c *state.Container) (health.State, error) { return e.health(c) }

// Attended says whether another command waits in the foreground for the end of a
// container. The kernel's list is asked: to try the lock would be to hold it for a
// moment, in which conmon's exit command would leave its work to us.
func (e *Engine) Attended(id string) (bool, error) {
	var st unix.Stat_t
	err := unix.Stat(e.paths.waitLock(id), &st)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("wait lock of container %s: %w", short(id), err)
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false, fmt.Errorf("read the kernel's locks: %w", err)
	}
	file := fmt.Sprintf(" %02x:%02x:%d ", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	return bytes.Contains(locks, []byte(file)), nil
}

// AsideName is the name of a container while another one takes its place.
func AsideName(c *state.Container) string { return c.Name + "-before-update-" + short(c.ID) }

// CheckRemake says why a container cannot be made anew by pod.
func (e *Engine) CheckRemake(ctx context.Context, c *state.Container) error {
	if c.AutoUpdate == nil || c.AutoUpdate.Asked == nil || !c.Spec.Layered() || c.Spec.IsInfra {
		return fmt.Errorf("container %s cannot be made anew: it was not made of an image by this pod", c.Name)
	}
	if err := e.checkUnneeded(ctx, c); err != nil {
		return fmt.Errorf("container %s cannot be made anew, others share its namespaces or volumes: run them in a pod: %w", c.Name, err)
	}
	attended, err := e.Attended(c.ID)
	if err == nil && attended {
		err = fmt.Errorf("container %s cannot be made anew while a command waits for its end: start it with --detach", c.Name)
	}
	return err
}

// PutAside stops a container and renames it, so that another one can take its
// place; it is kept, although --rm. BringBack undoes that.
func (e *Engine) PutAside(ctx context.Context, c *state.Container) error {
	if err := e.setRemove(ctx, c.ID, false); err != nil {
		return err
	}
	if err := step.Do(ctx, "update.stop", func() error {
		_, err := e.Stop(ctx, c.ID, nil)
		return err
	}); err != nil {
		return err
	}
	return step.Do(ctx, "update.aside", func() error { return e.Rename(ctx, c.ID, AsideName(c)) })
}

// BringBack gives a container that was put aside its name back and starts it.
func (e *Engine) BringBack(ctx context.Context, id, name string, remove bool) error {
	c, err := e.state.Get(ctx, id)
	if err != nil {
		return err
	}
	if c.Name != name {
		if err := step.Do(ctx, "update.back", func() error { return e.Rename(ctx, id, name) }); err != nil {
			return err
		}
	}
	if err := e.setRemove(ctx, id, remove); err != nil {
		return err
	}
	if err := writeID(c); err != nil {
		return err
	}
	return step.Do(ctx, "update.again", func() error {
		_, err := e.Start(ctx, id)
		return err
	})
}

// writeID brings the file of --cidfile in line.
func writeID(c *state.Container) error {
	if c.Spec.CIDFile == "" {
		return nil
	}
	if err := os.WriteFile(c.Spec.CIDFile, []byte(c.ID), 0o644); err != nil { //nolint:gosec // as run makes it
		return fmt.Errorf("write container id file: %w", err)
	}
	return nil
}

// setRemove changes whether a container goes with its end.
func (e *Engine) setRemove(ctx context.Context, id string, remove bool) error {
	c, lock, err := e.lockContainer(ctx, id)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	if c.Spec.Remove == remove {
		return nil
	}
	c.Spec.Remove = remove
	return step.Do(ctx, "update.keep", func() error { return e.state.Update(ctx, c) })
}

// Remake makes a container as another one was asked for, of another image, and
// starts it: with that one's name, volumes, networks, pod, and the ports that it
// had when it ran. The other one has been put aside.
func (e *Engine) Remake(ctx context.Context, old *state.Container, ports []Published, img specgen.ImageConfig) (*state.Container, error) {
	spec, err := e.anew(ctx, old, ports, img)
	if err != nil {
		return nil, err
	}
	c, err := e.Create(ctx, spec, img)
	if err != nil {
		return nil, err
	}
	c.AnonymousVolumes = append(c.AnonymousVolumes, old.AnonymousVolumes...)
	slices.Sort(c.AnonymousVolumes)
	c.AnonymousVolumes = slices.Compact(c.AnonymousVolumes)
	c.AutoUpdate = old.AutoUpdate
	if err := step.Do(ctx, "update.made", func() error { return e.state.Update(ctx, c) }); err != nil {
		return c, err
	}
	if err := writeID(c); err != nil {
		return c, err
	}
	return c, step.Do(ctx, "update.start", func() error {
		_, err := e.Start(ctx, c.ID)
		return err
	})
}

// anew is the description of a container that takes the place of old.
func (e *Engine) anew(ctx context.Context, old *state.Container, ports []Published, img specgen.ImageConfig) (*specgen.Container, error) {
	spec, err := deepCopy(old.AutoUpdate.Asked)
	if err != nil {
		return nil, err
	}
	spec.Name, spec.CreateCommand = old.Name, old.Spec.CreateCommand
	spec.Storage.VolumesFrom = nil // their mounts are in the description
	spec.Security.CDI = old.Spec.Security.CDI
	keepVolumes(spec, old)
	if pod := old.Spec.Pod; pod != "" {
		spec.Pod = pod
		if err := e.outOfPod(ctx, spec); err != nil {
			return nil, err
		}
		spec.Pod = pod
		return spec, nil
	}
	// The user may have connected it elsewhere since.
	spec.Network.Mode, spec.Network.Networks = old.Spec.Network.Mode, slices.Clone(old.Spec.Network.Networks)
	keepPublished(&spec.Network, ports, img.ExposedPorts)
	return spec, nil
}

// keepVolumes has the anonymous volumes of a container mounted where they were.
func keepVolumes(spec *specgen.Container, old *state.Container) {
	for _, m := range old.Spec.Storage.Mounts {
		if m.Type != "volume" || !slices.Contains(old.AnonymousVolumes, m.Source) {
			continue
		}
		at := slices.IndexFunc(spec.Storage.Mounts, func(n specgen.Mount) bool { return n.Destination == m.Destination })
		if at >= 0 {
			spec.Storage.Mounts[at].Source = m.Source
			continue
		}
		spec.Storage.Mounts = append(spec.Storage.Mounts, m)
	}
}

// keepPublished gives ports that pod has chosen the numbers that they had.
func keepPublished(n *specgen.Network, had []Published, exposed []string) {
	for i := range n.Ports {
		p := &n.Ports[i]
		if p.HostPort != 0 && !p.Random {
			continue
		}
		for _, h := range had {
			if h.ContainerPort == p.ContainerPort && h.Protocol == p.Protocol && h.HostIP == p.HostIP {
				p.HostPort, p.Random = h.HostPort, true
				break
			}
		}
	}
	if !n.PublishAll {
		return
	}
	for _, h := range had {
		covered := slices.ContainsFunc(n.Ports, func(p specgen.PortMapping) bool {
			return p.Protocol == h.Protocol && p.ContainerPort <= h.ContainerPort && int(h.ContainerPort) < int(p.ContainerPort)+int(max(p.Range, 1))
		})
		port := strconv.Itoa(int(h.ContainerPort))
		named := slices.Contains(exposed, port+"/"+h.Protocol) || h.Protocol == "tcp" && slices.Contains(exposed, port)
		if !covered && named {
			m := h.PortMapping
			m.Range, m.Random = 1, true
			n.Ports = append(n.Ports, m)
		}
	}
}

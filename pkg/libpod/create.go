package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Create makes a container of an image that is in the store already.
func (e *Engine) Create(ctx context.Context, spec *specgen.Container, img specgen.ImageConfig) (*state.Container, error) {
	c, lock, makeRoot, err := e.record(ctx, spec, img)
	if err != nil {
		return nil, err
	}
	if err := makeRoot(ctx); err != nil {
		return nil, errors.Join(err, e.undoCreate(context.WithoutCancel(ctx), c.ID), e.state.RemoveLock(lock))
	}
	if err := e.state.SetRun(ctx, c.ID, nil); err != nil {
		return nil, errors.Join(err, e.state.RemoveLock(lock))
	}
	return c, e.state.RemoveLock(lock)
}

// record makes the container but for its root file system, and leaves it locked,
// its run in PhaseCreating. makeRoot does the rest: a run has other things to
// set going before.
func (e *Engine) record(ctx context.Context, spec *specgen.Container, img specgen.ImageConfig) (c *state.Container, lock *state.Lock, makeRoot rootMaker, err error) {
	if err := e.joinPod(ctx, spec); err != nil {
		return nil, nil, nil, err
	}
	if err := e.fixNeeds(ctx, spec); err != nil {
		return nil, nil, nil, err
	}
	if err := e.volumesFrom(ctx, spec); err != nil {
		return nil, nil, nil, err
	}
	c, maps, err := e.describe(ctx, spec, img)
	if err != nil {
		return nil, nil, nil, err
	}
	if spec.Replace {
		if err := e.replace(ctx, spec.Name); err != nil {
			return nil, nil, nil, err
		}
	}
	if lock, err = e.lock(ctx, c.ID); err != nil {
		return nil, nil, nil, err
	}
	c.Run = &state.Run{Phase: state.PhaseCreating, Owner: process.Self(), Making: true}
	err = step.Do(ctx, "state.add", func() error { return e.addNamed(ctx, c) })
	if err == nil && len(c.Spec.Storage.Mounts) > 0 {
		err = step.Do(ctx, "volumes.create", func() error { return e.makeVolumes(ctx, c) })
	}
	if err != nil {
		return nil, nil, nil, errors.Join(err, e.undoCreate(context.WithoutCancel(ctx), c.ID), e.state.RemoveLock(lock))
	}
	return c, lock, func(ctx context.Context) error { return e.makeRoot(ctx, c, maps, img) }, nil
}

// describe completes the description and makes the record of it. It changes
// nothing on disk.
func (e *Engine) describe(ctx context.Context, spec *specgen.Container, img specgen.ImageConfig) (*state.Container, idMaps, error) {
	var none idMaps
	if err := spec.Validate(); err != nil {
		return nil, none, err
	}
	wanted, err := e.wantedUpdate(spec)
	if err != nil {
		return nil, none, err
	}
	if err := spec.ApplyImage(img); err != nil {
		return nil, none, err
	}
	e.showUnit(spec, img)
	maps, err := e.userMaps(ctx, spec)
	if err != nil {
		return nil, none, err
	}
	if err := e.chooseHandler(spec, img); err != nil {
		return nil, none, err
	}
	if err := e.defaults(spec); err != nil {
		return nil, none, err
	}
	if err := expandGlobs(spec); err != nil {
		return nil, none, err
	}
	if err := e.checkMounts(spec); err != nil {
		return nil, none, err
	}
	if err := checkHealthLog(&spec.Health); err != nil {
		return nil, none, err
	}
	if err := e.findDevices(&spec.Security); err != nil {
		return nil, none, err
	}
	if err := e.findSecrets(spec); err != nil {
		return nil, none, err
	}
	if err := e.findNetworks(&spec.Network); err != nil {
		return nil, none, err
	}
	id, err := newID()
	if err != nil {
		return nil, none, err
	}
	c := &state.Container{
		ID: id, Name: spec.Name, Created: time.Now().UTC(), Spec: *spec,
		ImageID: img.ID, ImageName: img.Name, ImageDigest: img.Digest, Volatile: spec.Remove || e.Transient,
		Unit: e.Unit, AutoUpdate: wanted,
	}
	return c, maps, choosePorts(c)
}

// defaults fills what containers.conf decides when the container is made, so
// that a later change of the configuration does not change the container.
func (e *Engine) defaults(spec *specgen.Container) error {
	if spec.Runtime == "" {
		spec.Runtime = e.runtimeName()
	}
	if _, err := e.runtime(spec.Runtime); err != nil {
		return err
	}
	if err := e.defaultLog(spec); err != nil {
		return err
	}
	if !spec.Process.Init && e.Config.Containers.Init {
		spec.Process.Init = true
	}
	if spec.Process.Init && spec.Process.InitPath == "" {
		path, err := e.Config.FindInitBinary()
		if err != nil {
			return errors.New("--init needs catatonit: install the package catatonit, or name an init with --init-path PATH (pod doctor --check catatonit explains)")
		}
		spec.Process.InitPath = path
	}
	if spec.Process.Timezone == "" {
		spec.Process.Timezone = e.Config.Containers.TZ
	}
	if spec.Process.Timezone != "" {
		if _, err := zoneData(spec.Process.Timezone); err != nil {
			return err
		}
	}
	return nil
}

// expandGlobs turns mounts of patterns into binds of what they match now.
func expandGlobs(spec *specgen.Container) error {
	var all []specgen.Mount
	for _, m := range spec.Storage.Mounts {
		if m.Type != "glob" {
			all = append(all, m)
			continue
		}
		found, err := filepath.Glob(m.Source)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
		if len(found) == 0 {
			return fmt.Errorf("no file paths matching glob %q", m.Source)
		}
		all = append(all, m.Expand(found)...)
	}
	spec.Storage.Mounts = all
	return spec.Validate()
}

// checkMounts refuses host paths that are not there, before anything is made.
func (e *Engine) checkMounts(spec *specgen.Container) error {
	for _, m := range spec.Storage.Mounts {
		if m.Type != "bind" {
			continue
		}
		if _, err := os.Stat(m.Source); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("statfs %s: no such file or directory: create it first, or mount a named volume", m.Source)
			}
			return fmt.Errorf("mount %s: %w", m.Source, err)
		}
	}
	return nil
}

// volumesFrom adds the mounts of other containers, where the user has none of
// his own.
func (e *Engine) volumesFrom(ctx context.Context, spec *specgen.Container) error {
	for _, from := range spec.Storage.VolumesFrom {
		name, options, _ := strings.Cut(from, ":")
		other, err := e.state.Lookup(ctx, name)
		if err != nil {
			return err
		}
		for _, m := range other.Spec.Storage.Mounts {
			if m.Type == "tmpfs" || slices.ContainsFunc(spec.Storage.Mounts, func(have specgen.Mount) bool {
				return have.Destination == m.Destination
			}) {
				continue
			}
			m.Options = slices.Clone(m.Options)
			for option := range strings.SplitSeq(options, ",") {
				if option != "" {
					m.Options = append(m.Options, option)
				}
			}
			spec.Storage.Mounts = append(spec.Storage.Mounts, m)
		}
	}
	return nil
}

// replace removes the container that has the name, if there is one.
func (e *Engine) replace(ctx context.Context, name string) error {
	if name == "" {
		return errors.New("--replace needs --name NAME: it names what is replaced")
	}
	old, err := e.state.Lookup(ctx, name)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return nil
	}
	if err != nil {
		return err
	}
	if old.Name != name {
		return nil // an id that begins like the name
	}
	_, err = e.Remove(ctx, old.ID, RemoveOptions{Force: true, Volumes: true})
	return err
}

// makeRoot makes the root file system, the last part of a new container.
func (e *Engine) makeRoot(ctx context.Context, c *state.Container, maps idMaps, img specgen.ImageConfig) error {
	store, err := e.Storage()
	if err != nil {
		return err
	}
	if maps.auto != nil && maps.auto.Size == 0 {
		if maps.auto.Size, err = e.autoSize(ctx, c); err != nil {
			return err
		}
	}
	maps, drop, err := e.mapImage(ctx, store, c, maps)
	if err != nil {
		return err
	}
	err = step.Do(ctx, "storage.create", func() error {
		opts := storage.ContainerOptions{
			ID: c.ID, ImageID: img.ID, Name: c.Name, Created: c.Created, Volatile: c.Volatile, RunDir: e.paths.run,
			UIDMap: maps.uid, GIDMap: maps.gid, Auto: maps.auto, LabelOpts: c.Spec.Security.Label,
			MountPoints: bindsAll(c),
		}
		return e.whileNamed(ctx, store, c.Name, func() error { return store.CreateContainer(ctx, opts) })
	})
	if err := errors.Join(err, drop()); err != nil {
		return err
	}
	if len(c.Spec.Secrets) > 0 {
		if err := step.Do(ctx, "secrets.copy", func() error { return e.copySecrets(ctx, c) }); err != nil {
			return err
		}
	}
	c.Run.Making = false
	e.event(ctx, "create", c)
	return nil
}

// addNamed adds the record; a container without a name gets one that is free.
func (e *Engine) addNamed(ctx context.Context, c *state.Container) error {
	if c.Name != "" {
		err := e.state.Add(ctx, c)
		var taken state.ErrNameInUse
		if errors.As(err, &taken) && e.leftover(ctx, taken.ID) {
			err = e.state.Add(ctx, c)
		}
		return err
	}
	for attempt := 0; ; attempt++ {
		name, err := randomName()
		if err != nil {
			return err
		}
		if attempt > 2 {
			name += c.ID[attempt*4 : attempt*4+4]
		}
		c.Name = name
		err = e.state.Add(ctx, c)
		var taken state.ErrNameInUse
		if !errors.As(err, &taken) || attempt == 10 {
			return err
		}
	}
}

// leftover removes a container that a killed command left half made or half
// removed, and says whether it is gone. Somebody else may be at it, conmon's exit
// command for one: the lock is his for milliseconds.
func (e *Engine) leftover(ctx context.Context, id string) bool {
	c, err := e.state.Get(ctx, id)
	if err != nil {
		return isAbsent(err)
	}
	vanishing := c.Run != nil && (c.Run.Phase == state.PhaseRemoving || (c.Run.Phase == state.PhaseCleaning && c.Spec.Remove))
	if c.Run == nil || (ownedBy(c.Run.Owner) && !vanishing) {
		return false
	}
	lock, err := e.lock(ctx, id)
	if err != nil {
		return false
	}
	defer e.unlock(lock)
	_, err = e.settle(ctx, id)
	return isAbsent(err)
}

// undoCreate removes what a failed or killed create left.
func (e *Engine) undoCreate(ctx context.Context, id string) error {
	c, err := e.state.Get(ctx, id)
	var absent state.ErrNoContainer
	if errors.As(err, &absent) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.destroy(ctx, c, true)
}

// commandLine is what ps shows of a container's command.
func commandLine(c *state.Container) []string {
	return slices.Concat(c.Spec.Process.Entrypoint, c.Spec.Process.Command)
}

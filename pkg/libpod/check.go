package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/storage"
)

// kindVolume is the one kind of damage that the store does not know.
const kindVolume = "volume"

// CheckOptions choose what Check looks at and what it mends.
type CheckOptions struct {
	storage.CheckOptions
	// Repair removes damaged images and what is left of containers without a
	// record; Force also damaged containers, and volumes without a directory.
	Repair, Force bool
}

// CheckReport is what Check found, and what it removed.
type CheckReport struct {
	Found, Removed []storage.Damage
}

// Check compares the store with its lists, and pod's records with the store. It
// never removes a container or a volume that is sound.
func (e *Engine) Check(ctx context.Context, o CheckOptions) (CheckReport, error) {
	var out CheckReport
	store, err := e.Storage()
	if err != nil {
		return out, err
	}
	report, err := store.Check(ctx, o.CheckOptions)
	if err != nil {
		return out, err
	}
	records, err := e.hollow(ctx, store)
	if err != nil {
		return out, err
	}
	strays, err := e.strays(ctx, store)
	if err != nil {
		return out, err
	}
	volumes, err := e.hollowVolumes(ctx)
	if err != nil {
		return out, err
	}
	damages := report.Damages()
	out.Found = append(append(append(damages, records...), strays...), volumes...)
	if !o.Repair && !o.Force {
		return out, nil
	}
	var errs []error
	for _, d := range strays {
		if err := e.removeStray(ctx, store, d.ID, false); err != nil {
			errs = append(errs, err)
			continue
		}
		out.Removed = append(out.Removed, d)
	}
	if o.Force {
		gone, err := e.removeDamaged(ctx, append(append(damages, records...), volumes...))
		out.Removed, errs = append(out.Removed, gone...), append(errs, err)
	}
	gone, err := store.Repair(ctx, report, o.Force)
	out.Removed = append(out.Removed, gone...)
	return out, errors.Join(append(errs, err)...)
}

// removeDamaged removes pod's own containers, and volumes, among what is damaged.
// A volume that a container uses stays.
func (e *Engine) removeDamaged(ctx context.Context, found []storage.Damage) (gone []storage.Damage, _ error) {
	var errs []error
	for _, d := range found {
		var err error
		switch d.Kind {
		case storage.KindContainer:
			_, err = e.Remove(ctx, d.ID, RemoveOptions{Force: true, Needed: true})
			if isAbsent(err) {
				continue // another tool's: the store removes it
			}
		case kindVolume:
			err = e.RemoveVolume(ctx, d.ID, false, nil)
		default:
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		gone = append(gone, d)
	}
	return gone, errors.Join(errs...)
}

// hollow finds records of containers whose files are gone. One that is being made
// or removed is at work, and its lock is held.
func (e *Engine) hollow(ctx context.Context, store *storage.Store) (found []storage.Damage, _ error) {
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if !c.Spec.Layered() {
			continue
		}
		err := e.idle(c.ID, func() error {
			if _, err := e.state.Get(ctx, c.ID); err != nil {
				return ignoreAbsent(err)
			}
			_, err := store.Container(ctx, c.ID)
			if errors.Is(err, storage.ErrNoContainer) {
				found = append(found, storage.Damage{Kind: storage.KindContainer, ID: c.ID, Problems: []string{
					fmt.Sprintf("container %s: pod has a record of it, but the store has no files", c.ID),
				}})
				return nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// strays finds what the store and the run directory keep of containers that have
// no record. What runs on is no stray: it is still to be ended.
func (e *Engine) strays(ctx context.Context, store *storage.Store) (found []storage.Damage, _ error) {
	candidates, err := e.traces(ctx, store)
	if err != nil {
		return nil, err
	}
	known, err := e.knownIDs(ctx)
	if err != nil {
		return nil, err
	}
	for id := range candidates {
		if known[id] {
			continue
		}
		err := e.idle(id, func() error {
			if _, err := e.state.Get(ctx, id); !isAbsent(err) {
				return err
			}
			if len(e.monitors(id)) == 0 {
				found = append(found, storage.Damage{Kind: storage.KindContainer, ID: id, Problems: []string{
					fmt.Sprintf("container %s: there are files of it, but pod has no record", id),
				}})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// hollowVolumes finds volumes of pod's own driver without a directory.
func (e *Engine) hollowVolumes(ctx context.Context) (found []storage.Damage, _ error) {
	all, err := e.state.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		dir := e.volumeDir(v.Name)
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			found = append(found, storage.Damage{Kind: kindVolume, ID: v.Name, Problems: []string{
				fmt.Sprintf("volume %s: its directory %s is gone", v.Name, dir),
			}})
		}
	}
	return found, nil
}

// idle does something with the lock of a container, or nothing if somebody is at
// work on it.
func (e *Engine) idle(id string, work func() error) error {
	lock, ok, err := e.state.TryLock(id)
	if err != nil || !ok {
		return err
	}
	defer e.unlock(lock)
	return work()
}

func ignoreAbsent(err error) error {
	if isAbsent(err) {
		return nil
	}
	return err
}

// Renumber removes the files of locks that nobody holds. pod's locks have the
// names of their objects, so none has a number that could be taken twice.
func (e *Engine) Renumber(ctx context.Context) error {
	if err := e.sweepLocks(); err != nil {
		return err
	}
	e.write(ctx, events.Event{Type: events.System, Status: events.Renumber})
	return nil
}

// CheckRuntime says whether an OCI runtime of this name can be used.
func (e *Engine) CheckRuntime(name string) error {
	_, err := e.runtime(name)
	return err
}

// SetRuntime has every container use another OCI runtime from its next start on.
// None may run: the present runtime has to end what it began.
func (e *Engine) SetRuntime(ctx context.Context, name string) error {
	if err := e.CheckRuntime(name); err != nil {
		return err
	}
	all, err := e.state.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := e.setRuntime(ctx, c.ID, name); err != nil && !isAbsent(err) {
			return err
		}
	}
	return nil
}

func (e *Engine) setRuntime(ctx context.Context, id, name string) error {
	lock, err := e.lock(ctx, id)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	c, err := e.state.Get(ctx, id)
	if err != nil {
		return err
	}
	if isLive(e.status(c)) {
		return fmt.Errorf("container %s runs: its runtime cannot be changed now: %w", short(id), ErrStateImproper)
	}
	c.Spec.Runtime = name
	return e.state.Update(ctx, c)
}

// PruneBuilds removes the containers that builds left in the store.
func (e *Engine) PruneBuilds(ctx context.Context) ([]Pruned, error) {
	store, err := e.Storage()
	if err != nil {
		return nil, err
	}
	builds, err := store.Builds(ctx)
	if err != nil {
		return nil, err
	}
	var pruned []Pruned
	for _, c := range builds {
		p := Pruned{ID: c.ID}
		p.Size, _ = store.Size(ctx, c.ID)
		if err := e.WithReserve(func() error { return store.DeleteForeign(ctx, c.ID) }); err != nil {
			return pruned, err
		}
		pruned = append(pruned, p)
	}
	return pruned, nil
}

// PruneExternal removes what no list of the store and no record of pod knows.
func (e *Engine) PruneExternal(ctx context.Context) error {
	if err := e.Reconcile(ctx, false); err != nil {
		return err
	}
	store, err := e.Storage()
	if err != nil {
		return err
	}
	return e.WithReserve(func() error { return store.CollectGarbage(ctx) })
}

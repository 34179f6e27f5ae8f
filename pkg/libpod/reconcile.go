package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Reconcile settles every container that a dead process left half way, and
// removes what belongs to a boot that is over and what no record knows.
// Containers that are being worked on are left alone: their lock is held. With
// force it also ends containers that run on though their record is lost.
func (e *Engine) Reconcile(ctx context.Context, force bool) error {
	pending, err := e.state.Pending(ctx)
	if err != nil {
		return err
	}
	for _, c := range pending {
		if _, err := e.settleDead(ctx, c); err != nil {
			return err
		}
	}
	if err := e.settlePods(ctx); err != nil {
		return err
	}
	if err := e.dropStale(ctx); err != nil {
		return err
	}
	if err := e.state.DropOrphans(ctx); err != nil {
		return err
	}
	if err := e.resumeHealth(ctx); err != nil {
		return err
	}
	if err := e.settleVolumes(ctx); err != nil {
		return err
	}
	return e.sweep(ctx, force)
}

// settleDead settles a container if the process that was at work on it is dead.
// It says whether the container is gone for good.
func (e *Engine) settleDead(ctx context.Context, c *state.Container) (gone bool, err error) {
	if c.Run == nil || ownedBy(c.Run.Owner) {
		return false, nil
	}
	lock, ok, err := e.state.TryLock(c.ID)
	if err != nil || !ok {
		return false, err
	}
	defer e.unlock(lock)
	_, err = e.settle(ctx, c.ID)
	if isAbsent(err) {
		return true, nil
	}
	return false, err
}

// isAbsent says that err is about a container without a record.
func isAbsent(err error) bool {
	var absent state.ErrNoContainer
	return errors.As(err, &absent)
}

// dropStale removes --rm containers of an earlier boot.
func (e *Engine) dropStale(ctx context.Context) error {
	stale, err := e.state.Stale(ctx)
	if err != nil {
		return err
	}
	for _, c := range stale {
		lock, ok, err := e.state.TryLock(c.ID)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		// What that boot had of it may have outlived it in a run directory on a disk.
		if err = e.forgetRun(ctx, c.ID); err == nil {
			err = e.destroy(ctx, c, true)
		}
		e.unlock(lock)
		if err != nil && !isAbsent(err) {
			return err
		}
	}
	return nil
}

// sweep removes containers without a record: the run directory, and the records
// of --rm containers with it, may have been deleted under them.
func (e *Engine) sweep(ctx context.Context, force bool) error {
	store, err := e.Storage()
	if err != nil {
		return err
	}
	// Candidates first, records after: what is being made meanwhile has one.
	candidates, err := e.traces(ctx, store)
	if err != nil {
		return err
	}
	known, err := e.knownIDs(ctx)
	if err != nil {
		return err
	}
	for id := range candidates {
		if known[id] {
			continue
		}
		if err := e.removeStray(ctx, store, id, force); err != nil {
			return err
		}
	}
	if err := e.sweepCommits(ctx, store); err != nil {
		return err
	}
	if err := e.sweepLocks(); err != nil {
		return err
	}
	if err := store.DropTemporary(ctx, time.Hour); err != nil {
		return err
	}
	return e.sweepLayers(ctx, store)
}

func (e *Engine) knownIDs(ctx context.Context) (map[string]bool, error) {
	ids, err := e.state.ListIDs(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	volumes, err := e.state.Volumes(ctx)
	for _, v := range volumes {
		if v.StorageID != "" {
			known[v.StorageID] = true // of a volume over an image
		}
	}
	return known, err
}

// traces are the ids of the containers that this run directory and the store
// know something of.
func (e *Engine) traces(ctx context.Context, store *storage.Store) (map[string]bool, error) {
	ids := map[string]bool{}
	entries, err := os.ReadDir(e.paths.ctr)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read run directory: %w", err)
	}
	for _, entry := range entries {
		ids[entry.Name()] = true
	}
	all, err := store.Containers(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		// Those of another run directory have their record there, as long as
		// it exists.
		if c.Creator == storage.Creator && (c.RunDir == e.paths.run || missing(c.RunDir)) {
			ids[c.ID] = true
		}
	}
	return ids, nil
}

// removeStray removes a container without a record. One that runs is left, or
// with force ended.
func (e *Engine) removeStray(ctx context.Context, store *storage.Store, id string, force bool) error {
	lock, ok, err := e.state.TryLock(id)
	if err != nil || !ok {
		return err
	}
	defer e.unlock(lock)
	if _, err := e.state.Get(ctx, id); !isAbsent(err) {
		return err
	}
	monitors := e.monitors(id)
	if len(monitors) > 0 && !force {
		return nil
	}
	for _, m := range monitors {
		endMonitor(ctx, m)
	}
	ctx = context.WithoutCancel(ctx)
	if err := e.forgetRun(ctx, id); err != nil {
		return err
	}
	if _, err := store.Unmount(ctx, id, true); err != nil && !errors.Is(err, storage.ErrNoContainer) {
		return err
	}
	if err := store.Delete(ctx, id); err != nil {
		return err
	}
	return errors.Join(e.dropOwnFiles(id), os.RemoveAll(e.logDir(id)))
}

// forgetRun undoes what runtimes and networks have of a container without a run.
func (e *Engine) forgetRun(ctx context.Context, id string) error {
	if err := e.forgetRuntime(ctx, id); err != nil {
		return err
	}
	return e.undoNetwork(ctx, id)
}

// forgetRuntime has every runtime that knows the container delete it.
func (e *Engine) forgetRuntime(ctx context.Context, id string) error {
	known, err := filepath.Glob(filepath.Join(e.paths.runtime, "*", id))
	if err != nil {
		return err
	}
	for _, dir := range known {
		runtime, err := e.runtime(filepath.Base(filepath.Dir(dir)))
		if err != nil {
			return err
		}
		if err := runtime.Delete(ctx, id, true); err != nil {
			return fmt.Errorf("delete container %s from the runtime: %w", short(id), err)
		}
	}
	return nil
}

// sweepLocks removes the files of locks that nobody holds; whoever wants one
// makes it again.
func (e *Engine) sweepLocks() error {
	names, err := e.state.LockNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		lock, ok, err := e.state.TryLock(name)
		if err != nil {
			return err
		}
		if ok {
			e.unlock(lock)
		}
	}
	return nil
}

// commitLock and the id of a layer name the lock of a commit that makes it.
const commitLock = "layer-"

// sweepCommits removes layers for which a killed commit has made no image.
func (e *Engine) sweepCommits(ctx context.Context, store *storage.Store) error {
	names, err := e.state.LockNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		layer, ok := strings.CutPrefix(name, commitLock)
		if !ok {
			continue
		}
		lock, free, err := e.state.TryLock(name)
		if err != nil {
			return err
		}
		if !free {
			continue
		}
		if err := errors.Join(store.DeleteUnused(ctx, layer), e.state.RemoveLock(lock)); err != nil {
			return err
		}
	}
	return nil
}

// sweepLayers removes layers that a kill left without a container.
func (e *Engine) sweepLayers(ctx context.Context, store *storage.Store) error {
	var known map[string]bool
	var listErr error
	orphans, err := store.OrphanLayers(ctx, func(layer string) bool {
		if known == nil {
			var ids map[string]bool
			ids, listErr = e.knownIDs(ctx)
			known = make(map[string]bool, len(ids))
			for id := range ids {
				known[storage.LayerID(id)] = true
			}
		}
		return listErr != nil || known[layer]
	})
	if err := errors.Join(err, listErr); err != nil {
		return err
	}
	for _, layer := range orphans {
		if err := store.DeleteLayer(ctx, layer); err != nil {
			return err
		}
	}
	return nil
}

// endLost ends what runs on of containers whose run directory was deleted: their
// monitor cannot tell their end any more, and their record says that they do not
// run. It is needed when the run directory is new; a container that is being
// started has its lock held and a run recorded.
func (e *Engine) endLost(ctx context.Context) error {
	seen := map[string]bool{}
	for _, m := range e.monitors("") {
		if seen[m.container] {
			continue
		}
		seen[m.container] = true
		lock, ok, err := e.state.TryLock(m.container)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		c, err := e.state.Get(ctx, m.container)
		switch {
		case isAbsent(err):
			err = e.endAll(ctx, m.container)
		case err == nil && c.Run == nil:
			err = e.endAll(ctx, m.container)
		}
		e.unlock(lock)
		if err != nil {
			return err
		}
	}
	return nil
}

// lock waits for the lock of a container and takes it.
func (e *Engine) lock(ctx context.Context, id string) (*state.Lock, error) {
	if e.state.Fresh() {
		e.lost.Do(func() { e.lostErr = e.endLost(ctx) })
		if e.lostErr != nil {
			return nil, e.lostErr
		}
	}
	return e.state.Lock(ctx, id)
}

// endAll ends the monitors and processes of a container, and its network.
func (e *Engine) endAll(ctx context.Context, id string) error {
	for _, m := range e.monitors(id) {
		endMonitor(ctx, m)
	}
	return e.undoNetwork(ctx, id)
}

// monitor is a conmon of this run directory, found by its command line.
type monitor struct {
	process.ID
	container string
}

// monitors finds the conmons of a container, or of all, by their bundle. It
// looks at every process: for recovery only.
func (e *Engine) monitors(id string) []monitor {
	var found []monitor
	process.FindArguments(func(who process.ID, args []string) bool {
		owner := bundleOwner(args, e.paths.ctr)
		match := owner != "" && (id == "" || owner == id)
		if match {
			found = append(found, monitor{ID: who, container: owner})
		}
		return match
	})
	return found
}

// bundleOwner is the container of a conmon whose bundle is below dir; empty for
// any other command line.
func bundleOwner(args []string, dir string) string {
	if len(args) < 2 || args[1] != "--api-version" {
		return ""
	}
	for i, arg := range args[:len(args)-1] {
		if arg != "-b" {
			continue
		}
		rest, ok := strings.CutPrefix(args[i+1], dir+"/")
		if !ok {
			return ""
		}
		id, _, _ := strings.Cut(rest, "/") // an exec session's is below the container's
		return id
	}
	return ""
}

// endMonitor kills a conmon and all processes below it, and waits for them. They
// are stopped and found before the first is killed: conmon's children die with
// it, and their own children would be nobody's.
func endMonitor(ctx context.Context, m monitor) {
	all := process.StopTree(m.ID) // but for conmon's exit command, which may be this process
	for _, who := range all {
		_ = who.Signal(syscall.SIGKILL) // gone is as good
	}
	for _, who := range all {
		_ = who.Wait(ctx)
	}
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// mapImage makes the files of the image belong to the ids of the container, before
// the store is locked to make its layer. The maps of auto are chosen for that; drop
// gives back what holds them, when the container has them.
func (e *Engine) mapImage(ctx context.Context, store *storage.Store, c *state.Container, maps idMaps) (_ idMaps, drop func() error, err error) {
	drop = func() error { return nil }
	if c.ImageID == "" || len(maps.uid)+len(maps.gid) == 0 && maps.auto == nil {
		return maps, drop, nil
	}
	if maps.auto != nil {
		// Nothing is to be copied where the kernel shows files with other owners.
		if way, err := store.MapWay(); err != nil || way == storage.MapByKernel || way == storage.MapByLibrary {
			return maps, drop, err
		}
		if maps, drop, err = e.holdMaps(ctx, store, maps); err != nil {
			return maps, nil, err
		}
	}
	shown := mapProgress{tell: e.Tell, image: c.ImageName, begin: time.Now()}
	err = store.MapImage(ctx, storage.MapOptions{ImageID: c.ImageID, UIDMap: maps.uid, GIDMap: maps.gid, Progress: shown.show})
	shown.end(err)
	if err != nil {
		return maps, nil, errors.Join(err, drop())
	}
	return maps, drop, nil
}

// holdMaps has the store choose maps for auto. A container of no image has them
// until drop is called, so that nobody else gets them while files are copied. Its
// lock says that it is wanted; without, it is swept as what a kill has left.
func (e *Engine) holdMaps(ctx context.Context, store *storage.Store, maps idMaps) (_ idMaps, drop func() error, err error) {
	id, err := newID()
	if err != nil {
		return maps, nil, err
	}
	lock, err := e.lock(ctx, id)
	if err != nil {
		return maps, nil, err
	}
	drop = func() error {
		return errors.Join(store.Delete(context.WithoutCancel(ctx), id), e.state.RemoveLock(lock))
	}
	err = step.Do(ctx, "storage.hold", func() error {
		return store.CreateContainer(ctx, storage.ContainerOptions{ID: id, Volatile: true, RunDir: e.paths.run, Auto: maps.auto})
	})
	if err == nil {
		maps.auto = nil
		maps.uid, maps.gid, err = store.IDMaps(ctx, id)
	}
	if err != nil {
		return maps, nil, errors.Join(err, drop())
	}
	return maps, drop, nil
}

// mapProgress shows how copying goes on: on a terminal while it lasts, elsewhere in
// one line if it took long.
type mapProgress struct {
	tell  func(text string, passing bool)
	image string
	begin time.Time

	mu    sync.Mutex
	last  time.Time
	files int64
	told  bool
}

func (p *mapProgress) show(at storage.MapProgress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.files = max(p.files, at.Files)
	if now.Sub(p.begin) < 300*time.Millisecond || now.Sub(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.told = now, true
	if at.Waiting {
		p.tell("Waiting for another command, which copies "+p.image+" for these ids", true)
		return
	}
	p.tell(fmt.Sprintf("Copying %s for the ids of the container, once: %d files (layer %d of %d)", p.image, p.files, at.Layer, at.Layers), true)
}

func (p *mapProgress) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told {
		p.tell("", true)
	}
	if took := time.Since(p.begin); err == nil && p.files > 0 && took > time.Second {
		p.tell(fmt.Sprintf("Copied %d files of %s for the ids of the container in %.1f s; the next containers share them", p.files, p.image, took.Seconds()), false)
	}
}

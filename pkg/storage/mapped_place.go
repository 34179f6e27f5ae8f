package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cstorage "go.podman.io/storage"
	"go.podman.io/storage/pkg/ioutils"
	"go.podman.io/storage/pkg/lockfile"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/storage/ownercopy"
)

const (
	lockSuffix = ".lock"
	noteSuffix = ".note"
)

// mappingPlace is a layer that is being made: a lock, and a note that says where.
// A note of a layer that does not exist, whose lock nobody holds, was left by a kill.
type mappingPlace struct {
	base    string // without suffix
	staging string // where the driver makes staging directories
	file    *os.File
}

func (s *Store) mappingDir() string { return filepath.Join(s.Root(), "pod", "mapping") }

func (s *Store) mappingPlace(id string) (*mappingPlace, error) {
	if err := os.MkdirAll(s.mappingDir(), 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	return &mappingPlace{base: filepath.Join(s.mappingDir(), id), staging: s.stagingDir()}, nil
}

func (s *Store) stagingDir() string { return filepath.Join(s.conf.GraphRoot, "overlay", "staging") }

// lock takes the lock; waiting is called if somebody has it.
func (p *mappingPlace) lock(ctx context.Context, waiting func()) error {
	for told := false; ; told = true {
		ok, err := p.tryLock()
		if ok || err != nil {
			return err
		}
		if !told {
			waiting()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *mappingPlace) tryLock() (bool, error) {
	f, err := os.OpenFile(p.base+lockSuffix, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return false, fmt.Errorf("open lock: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &st)
	}
	switch {
	case errors.Is(err, unix.EWOULDBLOCK), err == nil && st.Nlink == 0: // held, or just removed by its holder
		return false, f.Close()
	case err != nil:
		return false, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	p.file = f
	return true, nil
}

func (p *mappingPlace) unlock() {
	_ = os.Remove(p.file.Name())
	_ = p.file.Close()
}

// clearTree removes the staging directory, if there is one.
func (p *mappingPlace) clearTree() error {
	n, err := readNote(p.base + noteSuffix)
	if errors.Is(err, os.ErrNotExist) || n.Staging == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(p.staging, n.Staging))
}

func (p *mappingPlace) clear() error {
	return errors.Join(p.clearTree(), os.RemoveAll(p.base+noteSuffix))
}

// note is what is known of a copy: the layer that it is of, the staging directory
// it was made in, and when. It was not synced to the disk, so whether all of it is
// there after a power loss is asked when it is used in another boot.
type note struct{ Boot, Of, Staging string }

// readNote reads a note; one that was cut short by a power loss says nothing.
func readNote(path string) (note, error) {
	var n note
	data, err := os.ReadFile(path)
	if err != nil {
		return n, err
	}
	if json.Unmarshal(data, &n) != nil || n.Staging != "" && (n.Staging == ".." || filepath.Base(n.Staging) != n.Staging) {
		n = note{}
	}
	return n, nil
}

func (p *mappingPlace) note(layer, staging string) error {
	boot, err := process.BootID()
	if err != nil {
		return err
	}
	data, err := json.Marshal(note{Boot: boot, Of: layer, Staging: filepath.Base(staging)})
	if err != nil {
		return err
	}
	return ioutils.AtomicWriteFile(p.base+noteSuffix, data, 0o600)
}

// suspects are the copies that were made in another boot and not looked at since,
// with the layers that they are copies of.
func (s *Store) suspects() (map[string]string, error) {
	entries, err := os.ReadDir(s.mappingDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read notes of layers: %w", err)
	}
	boot, err := process.BootID()
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, entry := range entries {
		id, ok := strings.CutSuffix(entry.Name(), noteSuffix)
		if !ok {
			continue
		}
		n, err := readNote(filepath.Join(s.mappingDir(), entry.Name()))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read notes of layers: %w", err)
		}
		if err == nil && n.Boot != boot {
			found[id] = n.Of
		}
	}
	return found, nil
}

// settleMapped looks at the copies of an earlier boot. One that is not whole is
// removed with what is on it; if that is a container, the user is told.
func (s *Store) settleMapped(ctx context.Context, lib cstorage.Store) error {
	suspects, err := s.suspects()
	if err != nil {
		return err
	}
	for id, of := range suspects {
		place, err := s.mappingPlace(id)
		if err != nil {
			return err
		}
		if err := place.lock(ctx, func() {}); err != nil {
			return err
		}
		err = s.settleCopy(ctx, lib, id, of)
		if err == nil {
			err = place.clear()
		}
		place.unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) settleCopy(ctx context.Context, lib cstorage.Store, id, of string) error {
	layer, err := lib.Layer(id)
	if err != nil {
		return nil //nolint:nilerr // it did not come to be
	}
	owner := func(uid, gid uint32) (newUID, newGID uint32) {
		return mapID(layer.UIDMap, uid), mapID(layer.GIDMap, gid)
	}
	if of != "" {
		err = ownercopy.Same(ctx, filepath.Join(s.layerDir(of), "diff"), filepath.Join(s.layerDir(id), "diff"), owner)
	}
	if of != "" && (err == nil || ctx.Err() != nil) {
		return err
	}
	if of != "" && !lib.Exists(of) {
		return nil // the image is gone, so its copy is not used any more
	}
	return s.dropWithAbove(lib, id)
}

// dropWithAbove removes a layer and those that are on it.
func (s *Store) dropWithAbove(lib cstorage.Store, id string) error {
	all, err := lib.MultiList(cstorage.MultiListOptions{Layers: true, Containers: true})
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	doomed := []string{id}
	for i := 0; i < len(doomed); i++ {
		for j := range all.Layers {
			if all.Layers[j].Parent == doomed[i] {
				doomed = append(doomed, all.Layers[j].ID)
			}
		}
	}
	for _, c := range all.Containers {
		if slices.Contains(doomed, c.LayerID) {
			return fmt.Errorf("the copy of the image's files for these ids was damaged by a power loss, and container %.12s is on it: "+
				"export what you need of it and remove it, then try again", c.ID)
		}
	}
	for _, layer := range slices.Backward(doomed) {
		if err := s.deleteLayer(lib, layer); err != nil {
			return err
		}
	}
	return nil
}

// sweepMapping removes what killed copies have left.
func (s *Store) sweepMapping(lib cstorage.Store) error {
	entries, err := os.ReadDir(s.mappingDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read notes of layers: %w", err)
	}
	for _, entry := range entries {
		id := strings.TrimSuffix(strings.TrimSuffix(entry.Name(), lockSuffix), noteSuffix)
		place, err := s.mappingPlace(id)
		if err != nil {
			return err
		}
		if ok, err := place.tryLock(); err != nil {
			return err
		} else if !ok {
			continue
		}
		if _, absent := lib.Layer(id); absent != nil {
			err = place.clear()
		}
		place.unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// addMappedTop says in the image's record that a layer shows the image with other
// owners. The library does so only when it makes the layer itself, so this is its
// file, written under its lock, as it does it.
func (s *Store) addMappedTop(image, layer string) (err error) {
	dir := filepath.Join(s.conf.GraphRoot, "overlay-images")
	lock, err := lockfile.GetLockFile(filepath.Join(dir, "images.lock"))
	if err != nil {
		return fmt.Errorf("lock the list of images: %w", err)
	}
	lock.Lock()
	defer lock.Unlock()
	path := filepath.Join(dir, "images.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the list of images: %w", err)
	}
	data, changed, err := withMappedTop(data, image, layer)
	if err != nil || !changed {
		return err
	}
	if _, err := lock.RecordWrite(); err != nil {
		return fmt.Errorf("write the list of images: %w", err)
	}
	if err := ioutils.AtomicWriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write the list of images: %w", err)
	}
	return nil
}

// withMappedTop adds the layer to the image's, in the library's JSON. What else is
// in it stays, known or not.
func withMappedTop(data []byte, image, layer string) (out []byte, changed bool, err error) {
	const field = "mapped-layers"
	var images []json.RawMessage
	if err := json.Unmarshal(data, &images); err != nil {
		return nil, false, fmt.Errorf("read the list of images: %w", err)
	}
	for i := range images {
		var all map[string]json.RawMessage
		var id string
		var tops []string
		if err := json.Unmarshal(images[i], &all); err != nil {
			return nil, false, fmt.Errorf("read the list of images: %w", err)
		}
		if json.Unmarshal(all["id"], &id) != nil || id != image {
			continue
		}
		if raw, ok := all[field]; ok {
			if err := json.Unmarshal(raw, &tops); err != nil {
				return nil, false, fmt.Errorf("read the list of images: %w", err)
			}
		}
		if slices.Contains(tops, layer) {
			return nil, false, nil
		}
		if all[field], err = json.Marshal(append(tops, layer)); err != nil {
			return nil, false, fmt.Errorf("write the list of images: %w", err)
		}
		if images[i], err = json.Marshal(all); err != nil {
			return nil, false, fmt.Errorf("write the list of images: %w", err)
		}
		out, err = json.Marshal(images)
		return out, true, err
	}
	return nil, false, fmt.Errorf("image %.12s was removed meanwhile", image)
}

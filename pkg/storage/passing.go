package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.podman.io/storage/pkg/system"
	"go.podman.io/storage/pkg/unshare"
	"go.podman.io/storage/types"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/internal/wholefile"
)

// A passing container is one that goes when it ends (--rm). The library would write its
// lists eleven times in its life, and make and remove some twenty files, which is a
// third of the time of a short run. Nobody will miss this container after a power cut,
// so it has a record in the run directory instead, and two directories in the store:
// where the library does not look, for its own sweep would take them for garbage.
//
// What is rarely asked of such a container (commit, diff, rename, ...) is left to the
// library all the same: see adopt.
const passingDir = "overlay-passing"

// passing is the record of a passing container.
type passing struct {
	ID      string    `json:"id"`
	ImageID string    `json:"image"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	RunDir  string    `json:"runDir"`
	// Lower are the directories of the image's layers, the top one first.
	Lower []string `json:"lower"`
	// Points: below them are mount points.
	Points bool `json:"points,omitempty"`
	// Mounts counts Mount less Unmount.
	Mounts int `json:"mounts"`
	// Adopting: it is on its way to the library's lists, see adopt.
	Adopting bool `json:"adopting,omitempty"`

	layer string
}

// graphOf is where the layer of a passing container lies in the store, runOf where its
// record and its mount are.
func (s *Store) graphOf(layer string) string {
	return filepath.Join(s.passingHome(), layer)
}

// passingHome has the layers of passing containers whose records are in this run
// directory: another one, of a command without XDG_RUNTIME_DIR, has others.
func (s *Store) passingHome() string {
	sum := sha256.Sum256([]byte(s.conf.RunRoot))
	return filepath.Join(s.conf.GraphRoot, passingDir, hex.EncodeToString(sum[:6]))
}

// runName is the file in passingHome that names the run directory.
const runName = "run"

func (s *Store) runOf(layer string) string {
	return filepath.Join(s.conf.RunRoot, passingDir, layer)
}

// mergedOf is where a passing container is mounted.
func (s *Store) mergedOf(layer string) string { return filepath.Join(s.runOf(layer), "merged") }

// canPass says whether a container may be a passing one: with nothing of what the
// library does beyond an overlay of the image's layers.
func (s *Store) canPass(o *ContainerOptions) bool {
	return o.Volatile && o.ordinary() && (s.known || unshare.IsRootless() && byKernel(&s.conf))
}

// byKernel says whether layers are plain directories that the kernel mounts, and have
// always been: fuse-overlayfs has its own way to mark what was deleted.
func byKernel(conf *types.StoreOptions) bool {
	if !plain(conf) || conf.GraphDriverName != overlayName || slices.ContainsFunc(conf.GraphDriverOptions, unlikePlain) {
		return false
	}
	// The driver notes whether it saw files of a program's.
	note, err := os.ReadFile(filepath.Join(conf.GraphRoot, overlayName, ".has-mount-program"))
	return err != nil || strings.TrimSpace(string(note)) != "true"
}

// unlikePlain says whether an option of the driver asks for other mounts than plain
// ones of the kernel. nodev is what a mount in a user's namespace is anyway, and
// metacopy the driver leaves out there (both are in Fedora's storage.conf).
func unlikePlain(option string) bool {
	key, value, _ := strings.Cut(option, "=")
	switch driverKey(key) {
	case "sync", "skip_mount_home", "ignore_chown_errors":
		return false
	case "mountopt":
		return slices.ContainsFunc(strings.Split(value, ","), func(o string) bool { return o != "nodev" && o != "metacopy=on" })
	}
	return value != ""
}

// createPassing makes a passing container. It returns false, having done nothing, for
// an image whose layers are not plain directories of this store.
func (s *Store) createPassing(ctx context.Context, o *ContainerOptions) (bool, error) {
	if o.Name != "" {
		taken, err := s.named(o.Name)
		if err != nil {
			return true, err
		}
		if taken {
			return true, fmt.Errorf("create storage of %s: %w: %s", o.ID[:12], ErrNameInUse, o.Name)
		}
	}
	// Whoever removes images waits until the record is there.
	unlock, err := s.lockImage(o.ImageID, unix.LOCK_SH)
	if err != nil {
		return true, err
	}
	defer unlock()
	img, err := s.Image(o.ImageID)
	if err != nil {
		return true, translate("create storage of", o.ID[:12], err)
	}
	if img.ID != o.ImageID {
		return false, nil
	}
	p := passing{
		ID: o.ID, ImageID: img.ID, Name: o.Name, Created: o.Created, RunDir: o.RunDir, layer: LayerID(o.ID),
	}
	if img.ReadOnly || img.TopLayer == "" {
		return false, nil
	}
	// Without them the runtime makes its own, or fails as this did.
	p.Points = o.MountPoints && s.makePoints() == nil
	if p.Lower = s.plainLayers(img.TopLayer); p.Lower == nil || len(s.mountData(&p)) >= maxMountData {
		return false, nil
	}
	if err := s.makePassing(ctx, &p); err != nil {
		return true, errors.Join(fmt.Errorf("create storage of %s: %w", o.ID[:12], noSpace(err)), s.deletePassing(ctx, p.layer))
	}
	return true, nil
}

// makePassing makes the record, which says that there may be a layer, and the layer.
func (s *Store) makePassing(ctx context.Context, p *passing) error {
	if err := os.Mkdir(s.runOf(p.layer), 0o700); err != nil {
		return err
	}
	if err := step.Do(ctx, "passing.record", func() error { return s.savePassing(p) }); err != nil {
		return err
	}
	home := s.graphOf(p.layer)
	err := os.Mkdir(home, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.makePassingHome(); err == nil {
			err = os.Mkdir(home, 0o700)
		}
	}
	if err != nil {
		return err
	}
	// The root directory is as in the image; whose the files are is not ours to say.
	like, err := os.Lstat(p.Lower[0])
	if err != nil {
		return err
	}
	diff := filepath.Join(home, "diff")
	if err := errors.Join(os.Mkdir(diff, 0o700), os.Mkdir(filepath.Join(home, "work"), 0o700)); err != nil {
		return err
	}
	if st, ok := like.Sys().(*syscall.Stat_t); ok && (st.Uid != 0 || st.Gid != 0) {
		if err := os.Lchown(diff, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(diff, like.Mode())
}

// makePassingHome makes it with its note at once: layers in one without would stay when the
// run directory is gone.
func (s *Store) makePassingHome() error {
	home := s.passingHome()
	if err := os.MkdirAll(filepath.Dir(home), 0o700); err != nil {
		return err
	}
	made, err := os.MkdirTemp(filepath.Dir(home), ".new-*")
	if err != nil {
		return err
	}
	note := []byte(s.conf.RunRoot)
	if err := wholefile.Write(filepath.Join(made, runName), ".run-*", note); err != nil {
		return errors.Join(err, os.RemoveAll(made))
	}
	if err := os.Rename(made, home); err == nil {
		return nil
	}
	// It is there, perhaps of an older pod that could not write the note.
	return errors.Join(os.RemoveAll(made), wholefile.Write(filepath.Join(home, runName), ".run-*", note))
}

// plainLayers are the directories of an image's layers, the top one first; nil if one
// of them is anything but a directory of this store.
func (s *Store) plainLayers(top string) []string {
	home := filepath.Join(s.conf.GraphRoot, overlayName)
	ids := []string{top}
	below, err := os.ReadFile(filepath.Join(home, top, "lower-layers"))
	switch {
	case err == nil:
		if len(below) > 0 {
			ids = append(ids, strings.Split(strings.TrimSpace(string(below)), ":")...)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil
	case s.known && firstLayer(filepath.Join(home, top)):
	default: // made by an older tool
		lib, err := s.opened()
		if err != nil {
			return nil
		}
		for id := top; ; {
			layer, err := lib.Layer(id)
			if err != nil {
				return nil
			}
			if id = layer.Parent; id == "" {
				break
			}
			ids = append(ids, id)
		}
	}
	dirs := make([]string, len(ids))
	for i, id := range ids {
		dirs[i] = filepath.Join(home, id, "diff")
		var st unix.Stat_t
		if strings.ContainsAny(id, "/:,\\") || unix.Lstat(dirs[i], &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return nil
		}
		for _, more := range []string{"diff1", "composefs-data"} {
			if err := unix.Lstat(filepath.Join(home, id, more), &st); !errors.Is(err, unix.ENOENT) {
				return nil
			}
		}
	}
	if strings.ContainsAny(home, ":,\\") {
		return nil
	}
	return dirs
}

// firstLayer says whether the driver made the directory of a layer with none below it.
func firstLayer(dir string) bool {
	_, empty := os.Lstat(filepath.Join(dir, "empty"))
	_, lower := os.Lstat(filepath.Join(dir, "lower"))
	return empty == nil && errors.Is(lower, fs.ErrNotExist)
}

// savePassing writes the record.
func (s *Store) savePassing(p *passing) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return wholefile.Write(filepath.Join(s.runOf(p.layer), "record"), ".record-*", raw)
}

// passingOf reads the record of a layer; nil if there is none.
func (s *Store) passingOf(layer string) (*passing, error) {
	raw, err := os.ReadFile(filepath.Join(s.runOf(layer), "record"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("read record of storage: %w", err)
	}
	p := passing{layer: layer}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("read record of storage %s: %w", s.runOf(layer), err)
	}
	return &p, nil
}

// passingByID is passingOf for the id of a container; nil for one of the library's.
func (s *Store) passingByID(ctx context.Context, id string) (*passing, error) {
	if len(id) != idLength {
		return nil, nil //nolint:nilnil // none is an answer
	}
	p, err := s.passingOf(LayerID(id))
	if p == nil || err != nil || !p.Adopting {
		return p, err
	}
	return nil, s.adopt(ctx, id)
}

// whilePassing runs work on the record of a container while nobody else changes it. It
// returns false when the container has none, or has none any more.
func (s *Store) whilePassing(ctx context.Context, id string, work func(p *passing) error) (bool, error) {
	adopting := false
	done, err := s.whileRecorded(id, func(p *passing) error {
		if adopting = p.Adopting; adopting {
			return nil
		}
		return work(p)
	})
	if adopting && err == nil {
		return false, s.adopt(ctx, id)
	}
	return done, err
}

// whileRecorded is whilePassing for adopt itself.
func (s *Store) whileRecorded(id string, work func(p *passing) error) (bool, error) {
	if len(id) != idLength {
		return false, nil
	}
	layer := LayerID(id)
	dir, err := os.Open(s.runOf(layer))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock storage: %w", err)
	}
	defer dir.Close() //nolint:errcheck // read only
	if err := flock.Lock(dir, unix.LOCK_EX); err != nil {
		return false, fmt.Errorf("lock %s: %w", dir.Name(), err)
	}
	p, err := s.passingOf(layer)
	if err != nil || p == nil {
		return false, err
	}
	return true, work(p)
}

// allPassing lists the passing containers.
func (s *Store) allPassing() ([]*passing, error) {
	layers, err := markedIn(filepath.Join(s.conf.RunRoot, passingDir))
	if err != nil {
		return nil, fmt.Errorf("list records of storage: %w", err)
	}
	var all []*passing
	for _, layer := range layers {
		p, err := s.passingOf(layer)
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, p)
		}
	}
	return all, nil
}

// lockImage is what keeps an image from being removed while a container of it is being
// made: shared for the one, alone for the other.
func (s *Store) lockImage(id string, how int) (unlock func(), err error) {
	path := filepath.Join(s.conf.RunRoot, passingDir, filepath.Base(id)+".lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("lock image: %w", noSpace(err))
	}
	if err := flock.Lock(f, how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// deletePassing removes what there is of a passing container, mounted or not; the
// record last, since it tells that there may be more.
func (s *Store) deletePassing(ctx context.Context, layer string) error {
	run, home, merged := s.runOf(layer), s.graphOf(layer), s.mergedOf(layer)
	for mountedAt(merged) {
		if err := detach(merged); err != nil {
			return err
		}
	}
	err := step.Do(ctx, "passing.remove", func() error { return removeTree(home) })
	if err == nil {
		err = removeTree(run)
	}
	if err != nil {
		return fmt.Errorf("delete storage: %w", err)
	}
	return nil
}

// forgetPassing removes a passing container, with what pod keeps in the directories
// that the library has for each.
func (s *Store) forgetPassing(ctx context.Context, p *passing) error {
	return errors.Join(removeTree(filepath.Dir(s.ContainerDir(p.ID))), removeTree(filepath.Dir(s.RunDir(p.ID))), s.deletePassing(ctx, p.layer))
}

// removeTree removes a directory and what is in it, with few questions when it is
// empty or not there.
func removeTree(dir string) error {
	if err := unix.Rmdir(dir); err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	return system.EnsureRemoveAll(dir)
}

// orphanPassing lists layers of passing containers whose record ended with the boot.
func (s *Store) orphanPassing() ([]string, error) {
	layers, err := markedIn(s.passingHome())
	if err != nil {
		return nil, fmt.Errorf("list layers: %w", err)
	}
	return slices.DeleteFunc(layers, func(layer string) bool {
		_, err := os.Lstat(s.runOf(layer))
		return !errors.Is(err, fs.ErrNotExist)
	}), nil
}

// markedIn lists the directories with ids of pod's layers.
func markedIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), layerMark) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// dropPassing removes layers of passing containers of run directories that are gone.
func (s *Store) dropPassing() error {
	homes, err := filepath.Glob(filepath.Join(s.conf.GraphRoot, passingDir, "*", runName))
	var errs []error
	for _, name := range homes {
		run, err := os.ReadFile(name)
		if err != nil || filepath.Dir(name) == s.passingHome() {
			continue
		}
		if _, err := os.Lstat(string(run)); errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(string(run)) {
			errs = append(errs, system.EnsureRemoveAll(filepath.Dir(name)))
		}
	}
	return errors.Join(append(errs, err)...)
}

// describe is the container as the rest of this package has it.
func (p *passing) describe() Container {
	c := Container{ID: p.ID, ImageID: p.ImageID, LayerID: p.layer, Created: p.Created, Creator: Creator, RunDir: p.RunDir}
	if p.Name != "" {
		c.Names = []string{p.Name}
	}
	return c
}

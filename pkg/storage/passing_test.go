package storage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	cstorage "go.podman.io/storage"
	"go.podman.io/storage/types"
	"golang.org/x/sys/unix"
)

func TestUnlikePlain(t *testing.T) {
	for option, want := range map[string]bool{
		"overlay.sync=filesystem":                     false,
		"overlay.ignore_chown_errors=true":            false,
		"overlay.mountopt=nodev":                      false,
		"mountopt=nodev":                              false,
		"overlay.mountopt=nodev,metacopy=on":          false,
		"overlay.mountopt=nodev,redirect_dir=on":      true,
		"overlay.mount_program=/usr/bin/fuse-overlay": true,
		"overlay.mount_program=":                      false,
		"overlay.force_mask=shared":                   true,
		"overlay.size=10G":                            true,
		"overlay2.use_composefs=true":                 true,
	} {
		if got := unlikePlain(option); got != want {
			t.Errorf("unlikePlain(%q) = %v, want %v", option, got, want)
		}
	}
}

// recorded is a store of which only the places are used.
type recorded struct {
	cstorage.Store
	root, run string
	images    map[string]string // id: top layer
	deleted   []string
}

func (r *recorded) Containers() ([]cstorage.Container, error) {
	return []cstorage.Container{{ID: id(99), ImageID: "other"}}, nil
}

func (r *recorded) Container(string) (*cstorage.Container, error) {
	return nil, cstorage.ErrContainerUnknown
}

func (r *recorded) Image(id string) (*cstorage.Image, error) {
	top, ok := r.images[id]
	if !ok {
		return nil, cstorage.ErrImageUnknown
	}
	return &cstorage.Image{ID: id, TopLayer: top}, nil
}

func (r *recorded) DeleteImage(id string, _ bool) ([]string, error) {
	r.deleted = append(r.deleted, id)
	return nil, nil
}

func passingStore(t *testing.T) (*Store, *recorded) {
	t.Helper()
	dir := t.TempDir()
	r := &recorded{root: filepath.Join(dir, "root"), run: filepath.Join(dir, "run"), images: map[string]string{"img": "top", "bare": ""}}
	for _, layer := range []string{"top", "base"} {
		if err := os.MkdirAll(filepath.Join(r.root, "overlay", layer, "diff"), 0o751); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.root, "overlay/top/lower-layers"), []byte("base"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Store{conf: types.StoreOptions{GraphRoot: r.root, RunRoot: r.run, GraphDriverName: overlayName}}
	s.once.Do(func() { s.store = r })
	return s, r
}

func TestPassingLife(t *testing.T) {
	ctx := t.Context()
	s, r := passingStore(t)
	o := &ContainerOptions{ID: id(1), Name: "one", ImageID: "img", Volatile: true, RunDir: "/run/x"}
	if done, err := s.createPassing(ctx, o); !done || err != nil {
		t.Fatalf("createPassing = %v, %v", done, err)
	}
	c, err := s.Container(ctx, id(1))
	if err != nil || c.ImageID != "img" || c.LayerID != LayerID(id(1)) || c.Creator != Creator || c.RunDir != "/run/x" || !slices.Equal(c.Names, []string{"one"}) {
		t.Errorf("Container = %+v, %v", c, err)
	}
	if c, err := s.Container(ctx, "one"); err != nil || c.ID != id(1) {
		t.Errorf("Container by name = %+v, %v", c, err)
	}
	data, err := s.DriverData(ctx, id(1))
	if err != nil || data["LowerDir"] != filepath.Join(r.root, "overlay/top/diff")+":"+filepath.Join(r.root, "overlay/base/diff") || data["MergedDir"] != "" {
		t.Errorf("DriverData = %v, %v", data, err)
	}
	if info, err := os.Stat(data["UpperDir"]); err != nil || info.Mode().Perm() != 0o751 {
		t.Errorf("the root directory is not as in the image: %v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(data["UpperDir"], "f"), []byte("1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	if size, err := s.Size(ctx, id(1)); err != nil || size != 4 {
		t.Errorf("Size = %d, %v", size, err)
	}
	if uids, gids, err := s.IDMaps(ctx, id(1)); uids != nil || gids != nil || err != nil {
		t.Errorf("IDMaps = %v, %v, %v", uids, gids, err)
	}
	all, err := libraryOf(t, s).Containers()
	if err != nil || len(all) != 2 || all[1].ID != id(1) || all[1].ImageID != "img" {
		t.Errorf("Containers = %v, %v", all, err)
	}
	if _, err := libraryOf(t, s).DeleteImage("img", true); err == nil || len(r.deleted) > 0 {
		t.Errorf("its image was deleted: %v", err)
	}
	if orphans, err := s.orphanPassing(); len(orphans) > 0 || err != nil {
		t.Errorf("orphans = %v, %v", orphans, err)
	}
	if err := s.Delete(ctx, id(1)); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(r.root), "*", passingDir, "*", layerMark+"*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := libraryOf(t, s).DeleteImage("img", true); err != nil || len(r.deleted) != 1 {
		t.Errorf("its image cannot be deleted afterwards: %v", err)
	}
}

// A home has its note, also one that an older pod could not give it; with it the places for
// mounts.
func TestPassingHome(t *testing.T) {
	for _, before := range []bool{false, true} {
		s, r := passingStore(t)
		if before {
			if err := os.MkdirAll(filepath.Join(s.passingHome(), "layer"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := s.makePoints(); err != nil {
				t.Fatal(err)
			}
		}
		if note, err := os.ReadFile(filepath.Join(s.passingHome(), runName)); string(note) != r.run || err != nil {
			t.Errorf("with a home before %v: note %q, %v", before, note, err)
		}
		if all, err := os.ReadDir(filepath.Join(r.root, passingDir)); len(all) != 1 || err != nil {
			t.Errorf("with a home before %v: %v, %v", before, all, err)
		}
		for _, name := range []string{"dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv"} {
			if _, err := os.Lstat(filepath.Join(s.passingHome(), pointsName, name)); err != nil {
				t.Error(err)
			}
		}
	}
}

// A creator holds off who removes images, and is held off by him.
func TestPassingLock(t *testing.T) {
	s, r := passingStore(t)
	unlock, err := s.lockImage("img", unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	lib := libraryOf(t, s)
	go func() { _, err := lib.DeleteImage("img", true); done <- err }()
	select {
	case err := <-done:
		t.Fatalf("an image was deleted while a container was being made: %v", err)
	default:
	}
	p := &passing{ID: id(1), ImageID: "img", Lower: []string{filepath.Join(r.root, "overlay/top/diff")}, layer: LayerID(id(1))}
	if err := s.makePassing(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := <-done; err == nil || len(r.deleted) > 0 {
		t.Errorf("its image was deleted: %v", err)
	}
}

func TestNotPassing(t *testing.T) {
	s, r := passingStore(t)
	for _, o := range []ContainerOptions{
		{ImageID: "img"},
		{Volatile: true},
		{Volatile: true, ImageID: "img", UIDMap: []rspec.LinuxIDMapping{{Size: 1}}},
		{Volatile: true, ImageID: "img", Auto: &AutoMaps{}},
		{Volatile: true, ImageID: "img", StorageOpt: map[string]string{"size": "1"}},
	} {
		if s.canPass(&o) {
			t.Errorf("canPass(%+v)", o)
		}
	}
	for name, spoil := range map[string]func(base string) error{
		"a link": func(base string) error {
			return os.Symlink("/", filepath.Join(base, "diff"))
		},
		"several directories": func(base string) error {
			return errors.Join(os.Mkdir(filepath.Join(base, "diff"), 0o700), os.Mkdir(filepath.Join(base, "diff1"), 0o700))
		},
		"composefs": func(base string) error {
			return errors.Join(os.Mkdir(filepath.Join(base, "diff"), 0o700), os.Mkdir(filepath.Join(base, "composefs-data"), 0o700))
		},
		"in another store": func(string) error { return nil },
	} {
		base := filepath.Join(r.root, "overlay/base")
		if err := errors.Join(os.RemoveAll(base), os.Mkdir(base, 0o700), spoil(base)); err != nil {
			t.Fatal(err)
		}
		if done, err := s.createPassing(t.Context(), &ContainerOptions{ID: id(1), ImageID: "img"}); done || err != nil {
			t.Errorf("an image of which a layer is %s: %v, %v", name, done, err)
		}
	}
	if done, err := s.createPassing(t.Context(), &ContainerOptions{ID: id(1), ImageID: "bare"}); done || err != nil {
		t.Errorf("an image without layers: %v, %v", done, err)
	}
	if _, err := s.createPassing(t.Context(), &ContainerOptions{ID: id(1), ImageID: "none"}); !errors.Is(err, ErrNoImage) {
		t.Errorf("no image: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(r.root, passingDir)); len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

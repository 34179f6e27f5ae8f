package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
	"go.podman.io/storage/types"
)

func TestMain(m *testing.M) {
	if reexec.Init() { // the library unpacks in a child
		return
	}
	os.Exit(m.Run())
}

// library opens one store twice, as pkg/storage does.
func library(t *testing.T) (plain, durable storage.Store) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the overlay driver needs root, or a user namespace")
	}
	dir := t.TempDir()
	open := func(options ...string) storage.Store {
		store, err := storage.GetStore(types.StoreOptions{
			GraphRoot: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"),
			GraphDriverName: "overlay", GraphDriverOptions: options,
		})
		if err != nil {
			t.Skipf("no overlay here: %v", err)
		}
		return store
	}
	plain = open()
	plain.Free()
	durable = open("overlay.sync=filesystem")
	t.Cleanup(func() {
		if _, err := plain.Shutdown(true); err != nil {
			t.Error(err)
		}
		durable.Free()
	})
	return plain, durable
}

// newImage puts an image with one empty layer into a store.
func newImage(t *testing.T, s storage.Store, config string) *storage.Image {
	t.Helper()
	layer, err := s.CreateLayer("", "", nil, "", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	img, err := s.CreateImage("", nil, layer.ID, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	key := digest.FromString(config).String()
	if err := s.SetImageBigData(img.ID, key, []byte(config), nil); err != nil {
		t.Fatal(err)
	}
	if img, err = s.Image(img.ID); err != nil {
		t.Fatal(err)
	}
	return img
}

func newStore(t *testing.T, shared bool) (*Store, storage.Store) {
	t.Helper()
	plain, durable := library(t)
	return New(plain, durable, Options{Lazy: true, Shared: shared, Scratch: t.TempDir()}), plain
}

func container(t *testing.T, s *Store, image string, options storage.ContainerOptions) *storage.Container {
	t.Helper()
	options.Volatile = true
	c, err := s.CreateContainer("", []string{"working-" + image[:12]}, image, "", "", &options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const bareConfig = `{"config":{"Env":["A=b"]}}`

func TestPlanned(t *testing.T) {
	s, plain := newStore(t, false)
	img := newImage(t, s, bareConfig)
	c := container(t, s, img.ID, storage.ContainerOptions{})
	path, err := s.Mount(c.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if plain.Exists(c.ID) {
		t.Fatal("the container is made before its second mount")
	}
	if found, err := s.Container(c.Names[0]); err != nil || found.ID != c.ID || found.ProcessLabel() != "" {
		t.Fatalf("Container by name = %+v, %v", found, err)
	}
	if all, err := s.Containers(); err != nil || len(all) != 1 || all[0].ID != c.ID {
		t.Fatalf("Containers = %v, %v", all, err)
	}
	if layer, err := s.Layer(c.LayerID); err != nil || layer.Parent != img.TopLayer || layer.UncompressedDigest != "" {
		t.Fatalf("Layer = %+v, %v", layer, err)
	}
	if n, err := s.Mounted(c.ID); err != nil || n != 1 {
		t.Fatalf("Mounted = %d, %v", n, err)
	}
	dir, err := s.ContainerDirectory(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "buildah.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}

	again, err := s.Mount(c.ID, "")
	if err != nil || again != path {
		t.Fatalf("second Mount = %s, %v, want %s", again, err, path)
	}
	if err := os.WriteFile(filepath.Join(path, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	real, err := plain.Container(c.ID)
	if err != nil || real.LayerID != c.LayerID || real.ImageID != img.ID {
		t.Fatalf("made container = %+v, %v", real, err)
	}
	if n, err := plain.Mounted(c.ID); err != nil || n != 2 {
		t.Fatalf("Mounted = %d, %v", n, err)
	}
	if dir, err = s.ContainerDirectory(c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "buildah.json")); err != nil {
		t.Errorf("what was put beside a planned container: %v", err)
	}
	if changes, err := s.Changes("", c.LayerID); err != nil || len(changes) != 1 {
		t.Errorf("Changes = %v, %v", changes, err)
	}
	if err := s.DeleteContainer(c.ID); err != nil || plain.Exists(c.ID) {
		t.Errorf("DeleteContainer: %v", err)
	}
}

func TestPlannedDropped(t *testing.T) {
	s, plain := newStore(t, false)
	c := container(t, s, newImage(t, s, bareConfig).ID, storage.ContainerOptions{})
	if still, err := s.Unmount(c.ID, true); err != nil || still {
		t.Fatalf("Unmount = %v, %v", still, err)
	}
	if err := s.DeleteContainer(c.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Container(c.ID); err == nil {
		t.Error("a dropped container is still known")
	}
	if left, err := os.ReadDir(s.opts.Scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if layers, err := plain.Layers(); err != nil || len(layers) != 1 {
		t.Errorf("layers = %v, %v", layers, err)
	}
}

func TestNameTaken(t *testing.T) {
	s, _ := newStore(t, false)
	img := newImage(t, s, bareConfig)
	volumes := newImage(t, s, `{"config":{"Volumes":{"/data":{}}}}`)
	for _, image := range []string{img.ID, volumes.ID} {
		c, err := s.CreateContainer("", []string{"name"}, image, "", "", &storage.ContainerOptions{Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, again := range []string{img.ID, volumes.ID} {
			_, err := s.CreateContainer("", []string{"name"}, again, "", "", &storage.ContainerOptions{Volatile: true})
			if !errors.Is(err, storage.ErrDuplicateName) {
				t.Errorf("the same name again: %v", err)
			}
		}
		if err := s.DeleteContainer(c.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMadeAtOnce(t *testing.T) {
	ids := storage.IDMappingOptions{AutoUserNs: false, UIDMap: nil, HostUIDMapping: true, HostGIDMapping: true}
	tests := map[string]struct {
		config  string
		options storage.ContainerOptions
		planned bool
	}{
		"bare":             {config: bareConfig, planned: true},
		"host's ids":       {config: bareConfig, options: storage.ContainerOptions{IDMappingOptions: ids}, planned: true},
		"no configuration": {config: `{}`, planned: true},
		"volumes":          {config: `{"config":{"Volumes":{"/data":{}}}}`},
		"onbuild":          {config: `{"config":{"OnBuild":["VOLUME /data"]}}`},
		"not JSON":         {config: `x`},
		"label":            {config: bareConfig, options: storage.ContainerOptions{LabelOpts: []string{"disable"}}},
		"size":             {config: bareConfig, options: storage.ContainerOptions{MountOpts: []string{"nodev"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, plain := newStore(t, false)
			c := container(t, s, newImage(t, s, test.config).ID, test.options)
			if plain.Exists(c.ID) == test.planned {
				t.Errorf("planned: %v, want %v", !test.planned, test.planned)
			}
		})
	}
}

func TestShared(t *testing.T) {
	s, plain := newStore(t, true)
	img := newImage(t, s, bareConfig)
	source, target := container(t, s, img.ID, storage.ContainerOptions{}), container(t, s, newImage(t, s, bareConfig).ID, storage.ContainerOptions{})
	path, err := s.Mount(source.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Mount(target.ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err != nil || !plain.Exists(source.ID) {
		t.Errorf("the container that others may read is not there: %v", err)
	}
	for _, c := range []*storage.Container{source, target} {
		if err := s.DeleteContainer(c.ID); err != nil {
			t.Error(err)
		}
	}
}

func TestPutLayerIsKept(t *testing.T) {
	s, plain := newStore(t, false)
	var steps []string
	s.opts.Step = func(name string, f func() error) error {
		steps = append(steps, name)
		return f()
	}
	img := newImage(t, s, bareConfig)
	layer, _, err := s.PutLayer("", img.TopLayer, nil, "", false, nil, bytes.NewReader(make([]byte, 1024)))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := plain.Layer(layer.ID); err != nil || found.Parent != img.TopLayer {
		t.Errorf("Layer = %+v, %v", found, err)
	}
	if fmt.Sprint(steps) != "[layer.put]" {
		t.Errorf("steps: %v", steps)
	}
}

// Stages look, make, use and drop containers at the same time.
func TestConcurrent(t *testing.T) {
	s, plain := newStore(t, true)
	images := []*storage.Image{newImage(t, s, bareConfig), newImage(t, s, bareConfig)}
	var wait sync.WaitGroup
	for n := range 6 {
		wait.Go(func() {
			for round := range 4 {
				c, err := s.CreateContainer("", []string{fmt.Sprint("c", n, round)}, images[n%2].ID, "", "", &storage.ContainerOptions{Volatile: true})
				if err != nil {
					t.Error(err)
					return
				}
				path, err := s.Mount(c.ID, "")
				if err != nil {
					t.Error(err)
				}
				if (n+round)%3 == 0 {
					if _, err := s.Mount(c.ID, ""); err != nil {
						t.Error(err)
					}
					if err := os.WriteFile(filepath.Join(path, "f"), nil, 0o600); err != nil {
						t.Error(err)
					}
				}
				if _, err := s.Containers(); err != nil {
					t.Error(err)
				}
				if err := s.DeleteContainer(c.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if left, err := plain.Containers(); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestMemo(t *testing.T) {
	s, _ := newStore(t, false)
	other := s.durable // as another process would change the store
	if s.memo == nil {
		t.Fatal("no memo")
	}
	s.memo.now = func() time.Time { return time.Now().Add(time.Hour) } // all stamps count
	img := newImage(t, other, bareConfig)
	key := img.BigDataNames[0]
	layer, _, err := other.PutLayer("", "", nil, "", false, nil, bytes.NewReader(make([]byte, 1024)))
	if err != nil || layer.UncompressedDigest == "" {
		t.Fatalf("PutLayer = %+v, %v", layer, err)
	}
	diff := layer.UncompressedDigest
	for range 2 {
		if all, err := s.Images(); err != nil || len(all) != 1 {
			t.Fatalf("Images = %v, %v", all, err)
		}
		if found, err := s.Image(img.ID); err != nil || found.TopLayer != img.TopLayer {
			t.Fatalf("Image = %+v, %v", found, err)
		}
		if layer, err := s.Layer(img.TopLayer); err != nil || layer.ID != img.TopLayer {
			t.Fatalf("Layer = %+v, %v", layer, err)
		}
		if same, err := s.LayersByUncompressedDigest(diff); err != nil || len(same) != 1 || same[0].ID != layer.ID {
			t.Fatalf("LayersByUncompressedDigest = %+v, %v", same, err)
		}
		if none, err := s.LayersByUncompressedDigest(digest.FromString("none")); !errors.Is(err, storage.ErrLayerUnknown) {
			t.Fatalf("LayersByUncompressedDigest of what is not there = %+v, %v", none, err)
		}
		data, err := s.ImageBigData(img.ID, key)
		if err != nil || string(data) != bareConfig {
			t.Fatalf("ImageBigData = %s, %v", data, err)
		}
		data[0] = 'x' // the caller's
	}
	if err := other.AddNames(img.ID, []string{"localhost/name:1"}); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Image(img.ID); err != nil || len(found.Names) != 1 {
		t.Errorf("the new name is not seen: %+v, %v", found, err)
	}
	if found, err := s.Image("localhost/name:1"); err != nil || found.ID != img.ID {
		t.Errorf("Image by name = %+v, %v", found, err)
	}
	if _, err := other.DeleteImage(img.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := other.DeleteLayer(layer.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Image(img.ID); err == nil {
		t.Error("a removed image is still found")
	}
	if _, err := s.Layer(img.TopLayer); err == nil {
		t.Error("a removed layer is still found")
	}
	if found, err := s.Image("localhost/name:1"); err == nil {
		t.Errorf("a removed name is still found: %+v", found)
	}
	if _, err := s.LayersByUncompressedDigest(diff); !errors.Is(err, storage.ErrLayerUnknown) {
		t.Errorf("LayersByUncompressedDigest of a removed layer: %v", err)
	}
	if _, err := s.ImageBigData(img.ID, key); err == nil {
		t.Error("data of a removed image is still found")
	}
}

func TestPassingNames(t *testing.T) {
	s, _ := newStore(t, false)
	img := newImage(t, s, bareConfig)
	name := "docker.io/library/" + img.TopLayer + "-tmp:latest"
	for _, memo := range []*memo{s.memo, nil} {
		s.memo = memo
		if err := s.SetNames(img.ID, []string{name, "localhost/x-tmp:latest"}); err != nil {
			t.Fatal(err)
		}
		all, err := s.Images()
		if err != nil || len(all) != 1 || len(all[0].Names) != 1 {
			t.Errorf("Images = %v, %v", all, err)
		}
		if found, err := s.Image(img.ID); err != nil || len(found.Names) != 1 || found.Names[0] != "localhost/x-tmp:latest" {
			t.Errorf("Image by id = %v, %v", found, err)
		}
		if found, err := s.Image(name); err != nil || len(found.Names) != 2 {
			t.Errorf("Image by the passing name = %v, %v", found, err)
		}
	}
}

func TestStamp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if stampOf(path, time.Now()) != (stamp{}) {
		t.Error("a file of this moment has a stamp")
	}
	if stampOf(path, time.Now().Add(time.Second)) == (stamp{}) {
		t.Error("an old file has no stamp")
	}
	if stampOf(path+"x", time.Now()) != (stamp{}) {
		t.Error("no file has a stamp")
	}
}

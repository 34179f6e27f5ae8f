package storage

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	cstorage "go.podman.io/storage"
	drivers "go.podman.io/storage/drivers"
)

// withImage makes an image of one layer; the store is opened once more for DeleteUnopened.
func withImage(t *testing.T) (store *Store, opts Options, img string) {
	t.Helper()
	dir := t.TempDir()
	opts = Options{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run")}
	store = open(t, opts)
	layer, err := libraryOf(t, store).CreateLayer(id(100), "", nil, "", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	image, err := libraryOf(t, store).CreateImage(id(200), []string{"localhost/img:latest"}, layer.ID, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return store, opts, image.ID
}

// listed makes a container, and says whether the library was spared it.
func listed(t *testing.T, s *Store, o ContainerOptions) bool {
	t.Helper()
	done, err := s.createListed(t.Context(), &o, shortMark+"/run/pod")
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// names are those of all containers as the library sees them.
func names(t *testing.T, s *Store) (all []string) {
	t.Helper()
	containers, err := libraryOf(t, s).Containers()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers {
		if _, err := libraryOf(t, s).Layer(c.LayerID); err != nil {
			t.Errorf("layer of %s: %v", c.Names, err)
		}
		all = append(all, c.Names...)
	}
	slices.Sort(all)
	return all
}

func TestListedContainersAreTheLibrarys(t *testing.T) {
	store, opts, img := withImage(t)
	ctx := t.Context()
	for n, name := range []string{"a", "b", "c"} {
		if !listed(t, store, ContainerOptions{ID: id(n + 1), ImageID: img, Name: name}) {
			t.Fatalf("%s was left to the library", name)
		}
	}
	if err := store.CreateContainer(ctx, ContainerOptions{ID: id(4), ImageID: img, Name: "d", Volatile: true}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, store); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("the library sees %v", got)
	}
	c, err := store.Container(ctx, "b")
	if err != nil || c.ID != id(2) || c.ImageID != img || c.Creator != Creator || c.RunDir != "/run/pod" || c.LayerID != LayerID(id(2)) {
		t.Errorf("Container: %+v, %v", c, err)
	}
	if _, err := libraryOf(t, store).DeleteImage(img, true); !errors.Is(err, cstorage.ErrImageUsedByContainer) {
		t.Errorf("DeleteImage: %v", err)
	}
	// The library writes its lists again.
	if err := store.Rename(ctx, id(1), "aa"); err != nil {
		t.Fatal(err)
	}
	path, err := store.Mount(ctx, id(3))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if done, err := DeleteUnopened(ctx, opts, id(3)); done || err != nil {
		t.Errorf("a mounted one: %v, %v", done, err)
	}
	if _, err := store.Unmount(ctx, id(3), true); err != nil {
		t.Fatal(err)
	}
	for n, done := range map[int]bool{2: true, 3: true, 4: false, 5: false} {
		if got, err := DeleteUnopened(ctx, opts, id(n)); got != done && store.Driver() == overlayName || err != nil {
			t.Errorf("DeleteUnopened %d: %v, %v", n, got, err)
		}
	}
	if got := names(t, store); !slices.Equal(got, []string{"aa", "d"}) && store.Driver() == overlayName {
		t.Errorf("left: %v", got)
	}
	for n := range 5 {
		if err := store.Delete(ctx, id(n+1)); err != nil {
			t.Errorf("Delete %d: %v", n+1, err)
		}
		noLayer(t, store, LayerID(id(n+1)))
	}
	if got := names(t, store); len(got) != 0 {
		t.Errorf("left in the end: %v", got)
	}
	if layers, err := libraryOf(t, store).Layers(); err != nil || len(layers) != 1 {
		t.Errorf("layers: %v, %v", layers, err)
	}
}

// noLayer checks that nothing of a layer is on the disk.
func noLayer(t *testing.T, s *Store, layer string) {
	t.Helper()
	if _, err := os.Lstat(s.layerDir(layer)); !errors.Is(err, fs.ErrNotExist) { //nolint:forbidigo // the plain question
		t.Errorf("%s is still there: %v", layer, err)
	}
	if entries, err := os.ReadDir(s.layerDir("l")); err == nil && len(entries) > 5 {
		t.Errorf("%d links", len(entries))
	}
}

func TestWhatIsNotPlainIsTheLibrarys(t *testing.T) {
	store, _, img := withImage(t)
	listed(t, store, ContainerOptions{ID: id(1), ImageID: img, Name: "one"})
	for name, o := range map[string]ContainerOptions{
		"volatile":      {ID: id(2), ImageID: img, Volatile: true},
		"no image":      {ID: id(2)},
		"unknown image": {ID: id(2), ImageID: id(7)},
		"id in use":     {ID: id(1), ImageID: img},
		"name in use":   {ID: id(2), ImageID: img, Name: "one"},
		"a quote":       {ID: id(2), ImageID: img, Name: `a"b`},
		"own users":     {ID: id(2), ImageID: img, Auto: &AutoMaps{}},
		"options":       {ID: id(2), ImageID: img, StorageOpt: map[string]string{"size": "1g"}},
	} {
		if listed(t, store, o) {
			t.Errorf("%s: listed", name)
		}
	}
	err := store.CreateContainer(t.Context(), ContainerOptions{ID: id(2), ImageID: img, Name: "one"})
	if !errors.Is(err, ErrNameInUse) {
		t.Errorf("name in use: %v", err)
	}
}

// A list that another program has written in its own way is read and written by the
// library, after which it is as usual.
func TestUnusualList(t *testing.T) {
	store, opts, img := withImage(t)
	listed(t, store, ContainerOptions{ID: id(1), ImageID: img, Name: "one"})
	path := filepath.Join(store.Root(), store.Driver()+"-containers", "containers.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []any
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if data, err = json.MarshalIndent(all, "", " "); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if done, err := DeleteUnopened(t.Context(), opts, id(1)); done || err != nil {
		t.Errorf("DeleteUnopened: %v, %v", done, err)
	}
	second, third := ContainerOptions{ID: id(2), ImageID: img}, ContainerOptions{ID: id(3), ImageID: img}
	if listed(t, store, second) {
		t.Error("an unusual list was written in place")
	}
	if err := store.CreateContainer(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if !listed(t, store, third) {
		t.Error("a usual list was left to the library")
	}
}

// What kills between the steps leave goes with the container.
func TestHalfListed(t *testing.T) {
	store, _, img := withImage(t)
	driver, err := libraryOf(t, store).GraphDriver()
	if err != nil {
		t.Fatal(err)
	}
	parent := id(100)
	// The directory alone.
	if err := driver.CreateReadWrite(LayerID(id(1)), parent, &drivers.CreateOpts{}); err != nil {
		t.Fatal(err)
	}
	// The layer, but not the container.
	if _, err := libraryOf(t, store).CreateLayer(LayerID(id(2)), parent, nil, "", true, nil); err != nil {
		t.Fatal(err)
	}
	// The container without the layer, and without its directory.
	listed(t, store, ContainerOptions{ID: id(3), ImageID: img})
	if err := libraryOf(t, store).DeleteLayer(LayerID(id(3))); err == nil {
		t.Fatal("the library deletes a layer in use")
	}
	l, err := store.place().openList("layers")
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(driver.Remove(LayerID(id(3))), l.undo(LayerID(id(3))))
	l.lock.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		if err := store.Delete(t.Context(), id(n)); err != nil {
			t.Errorf("Delete %d: %v", n, err)
		}
		noLayer(t, store, LayerID(id(n)))
	}
	if layers, err := libraryOf(t, store).Layers(); err != nil || len(layers) != 1 {
		t.Errorf("layers: %v, %v", layers, err)
	}
	if entries, err := os.ReadDir(store.layerDir("l")); err == nil && len(entries) != 1 {
		t.Errorf("%d links, want the image's", len(entries))
	}
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	cstorage "go.podman.io/storage"
	"go.podman.io/storage/types"
)

// libraryOf is the library's store.
func libraryOf(tb testing.TB, s *Store) cstorage.Store {
	tb.Helper()
	lib, err := s.Library()
	if err != nil {
		tb.Fatal(err)
	}
	return lib
}

// open makes a store for a test; as root with the driver that is best here.
func open(t *testing.T, opts Options) *Store {
	t.Helper()
	if opts.Root == "" {
		dir := t.TempDir()
		opts.Root, opts.RunRoot = filepath.Join(dir, "root"), filepath.Join(dir, "run")
	}
	if os.Geteuid() != 0 {
		t.Skip("the library's drivers need root, or a user namespace")
	}
	store, _, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := libraryOf(t, store).Shutdown(true); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func id(n int) string { return fmt.Sprintf("%064x", n) }

func TestContainerLifeCycle(t *testing.T) {
	for _, volatile := range []bool{false, true} {
		t.Run(fmt.Sprintf("volatile=%v", volatile), func(t *testing.T) {
			ctx := t.Context()
			store := open(t, Options{})
			opts := ContainerOptions{ID: id(1), Name: "one", Volatile: volatile, Created: time.Unix(5, 0)}
			if err := store.CreateContainer(ctx, opts); err != nil {
				t.Fatal(err)
			}
			owned, err := store.Owned(ctx)
			if err != nil || len(owned) != 1 || owned[0] != id(1) {
				t.Fatalf("Owned = %v, %v", owned, err)
			}
			raw, err := libraryOf(t, store).Metadata(LayerID(id(1)))
			if err != nil || raw != "" {
				t.Fatalf("layer metadata = %q, %v", raw, err)
			}
			path, err := store.Mount(ctx, id(1))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(path, "file"), make([]byte, 1000), 0o600); err != nil {
				t.Fatal(err)
			}
			if n, err := store.Mounted(ctx, id(1)); err != nil || n != 1 {
				t.Errorf("Mounted = %d, %v", n, err)
			}
			if size, err := store.Size(ctx, id(1)); err != nil || size < 1000 {
				t.Errorf("Size = %d, %v", size, err)
			}
			diff, err := store.DiffPath(ctx, id(1))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(diff, "file")); err != nil {
				t.Error(err)
			}
			// Still mounted: Delete undoes that.
			if err := store.Delete(ctx, id(1)); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(diff); !errors.Is(err, fs.ErrNotExist) { //nolint:forbidigo // the plain question
				t.Errorf("the layer is still there: %v", err)
			}
			if err := store.Delete(ctx, id(1)); err != nil {
				t.Errorf("second Delete: %v", err)
			}
		})
	}
}

func TestNameInUse(t *testing.T) {
	store := open(t, Options{})
	if err := store.CreateContainer(t.Context(), ContainerOptions{ID: id(1), Name: "web"}); err != nil {
		t.Fatal(err)
	}
	err := store.CreateContainer(t.Context(), ContainerOptions{ID: id(2), Name: "web"})
	if !errors.Is(err, ErrNameInUse) || !strings.Contains(err.Error(), "web") {
		t.Fatalf("err = %v", err)
	}
	if layers, err := store.OrphanLayers(t.Context(), nil); err != nil || len(layers) != 0 {
		t.Errorf("a refused create left %v, %v", layers, err)
	}
}

func TestUnknownContainer(t *testing.T) {
	store := open(t, Options{})
	if _, err := store.Mount(t.Context(), id(9)); !errors.Is(err, ErrNoContainer) {
		t.Errorf("Mount: %v", err)
	}
	if _, err := store.Size(t.Context(), id(9)); !errors.Is(err, ErrNoContainer) {
		t.Errorf("Size: %v", err)
	}
	if still, err := store.Unmount(t.Context(), id(9), true); err != nil || still {
		t.Errorf("Unmount: %v, %v", still, err)
	}
	err := store.CreateContainer(t.Context(), ContainerOptions{ID: id(9), ImageID: id(7)})
	if !errors.Is(err, ErrNoImage) {
		t.Errorf("CreateContainer on no image: %v", err)
	}
}

// What a killed process was writing goes when it is old; lists stay.
func TestDropTemporary(t *testing.T) {
	store := open(t, Options{})
	if err := store.CreateContainer(t.Context(), ContainerOptions{ID: strings.Repeat("a", 64)}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(store.Root(), store.Driver()+"-layers")
	older, newer := filepath.Join(dir, ".tmp-layers.json123"), filepath.Join(dir, ".tmp-layers.json456")
	for _, file := range []string{older, newer} {
		if err := os.WriteFile(file, []byte("["), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(older, past, past); err != nil {
		t.Fatal(err)
	}
	if err := store.DropTemporary(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(older); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the old one is there: ", err)
	}
	for _, file := range []string{newer, filepath.Join(dir, "layers.json")} {
		if _, err := os.Lstat(file); err != nil {
			t.Error(err)
		}
	}
}

// A kill between layer and record leaves a whole layer that only pod can find.
func TestOrphanLayers(t *testing.T) {
	ctx := t.Context()
	store := open(t, Options{})
	lib := libraryOf(t, store)
	if err := store.CreateContainer(ctx, ContainerOptions{ID: strings.Repeat("a", 64)}); err != nil {
		t.Fatal(err)
	}
	lost := strings.Repeat("b", 64)
	for _, layer := range []string{LayerID(lost), strings.Repeat("c", 64)} {
		if _, err := lib.CreateLayer(layer, "", nil, "", true, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.OrphanLayers(ctx, nil)
	if err != nil || len(got) != 1 || got[0] != LayerID(lost) {
		t.Fatalf("OrphanLayers = %v, %v", got, err)
	}
	if got, _ := store.OrphanLayers(ctx, func(layer string) bool { return layer == LayerID(lost) }); len(got) != 0 {
		t.Errorf("a layer to keep is listed: %v", got)
	}
	if err := store.Delete(ctx, lost); err != nil {
		t.Fatal(err)
	}
	if got, err := store.OrphanLayers(ctx, nil); err != nil || len(got) != 0 {
		t.Errorf("after Delete: %v, %v", got, err)
	}
	if !lib.Exists(strings.Repeat("c", 64)) {
		t.Error("another tool's layer was removed")
	}
	if err := store.DeleteLayer(ctx, strings.Repeat("c", 64)); err == nil {
		t.Error("DeleteLayer removed another tool's layer")
	}
}

func TestSynced(t *testing.T) {
	store := open(t, Options{})
	durable, err := store.Synced()
	if err != nil {
		t.Fatal(err)
	}
	if store.Driver() != "overlay" {
		t.Skip("only overlay can")
	}
	if opts := durable.DriverOptions(); len(opts) == 0 || opts[len(opts)-1] != "overlay.sync=filesystem" {
		t.Errorf("options = %v", opts)
	}
	// What one view makes, the other sees.
	if err := durable.CreateContainer(t.Context(), ContainerOptions{ID: id(3)}); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), id(3)); err != nil {
		t.Fatal(err)
	}
	if owned, err := durable.Owned(t.Context()); err != nil || len(owned) != 0 {
		t.Errorf("Owned = %v, %v", owned, err)
	}
	if again, err := durable.Synced(); err != nil || again != durable {
		t.Errorf("Synced of a synced store: %v, %v", again, err)
	}
}

func TestChooseDriver(t *testing.T) {
	tests := map[string]struct {
		files []string
		conf  types.StoreOptions
		want  string
	}{
		"configured":     {conf: types.StoreOptions{GraphDriverName: "vfs"}, want: "vfs"},
		"overlay data":   {files: []string{"overlay-layers/layers.json", "vfs-images/x"}, want: "overlay"},
		"vfs data":       {files: []string{"vfs-images/images.json", "overlay/l/x"}, want: "vfs"},
		"vfs volatile":   {files: []string{"vfs-layers/volatile-layers.json"}, want: "vfs"},
		"mount program":  {conf: types.StoreOptions{GraphDriverOptions: []string{"overlay.mount_program=/x"}}, want: "overlay"},
		"priority given": {conf: types.StoreOptions{GraphDriverPriority: []string{"vfs"}}, want: ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range test.files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(`[{"id":"1"}]`), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			conf := test.conf
			conf.GraphRoot, conf.RunRoot = dir, filepath.Join(dir, "run")
			if _, err := chooseDriver(&conf); err != nil || conf.GraphDriverName != test.want {
				t.Errorf("driver %q, %v; want %q", conf.GraphDriverName, err, test.want)
			}
		})
	}
}

func TestPrivateDir(t *testing.T) {
	base := t.TempDir()
	if err := privateDir(filepath.Join(base, "new"), 1); err != nil {
		t.Error(err)
	}
	open := filepath.Join(base, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil { //nolint:gosec // the fault to be found
		t.Fatal(err)
	}
	if err := privateDir(open, 1); err == nil || !strings.Contains(err.Error(), open) {
		t.Errorf("a directory open to all: %v", err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(filepath.Join(base, "new"), link); err != nil {
		t.Fatal(err)
	}
	if err := privateDir(link, 1); err == nil {
		t.Error("a symbolic link was accepted")
	}
}

func TestSingleID(t *testing.T) {
	tests := map[string]struct {
		text string
		want bool
	}{
		"one":   {"         0       1000          1\n", true},
		"many":  {"         0       1000          1\n         1     100000      65536\n", false},
		"whole": {"         0          0 4294967295\n", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "uid_map")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := singleID(path); err != nil || got != test.want {
				t.Errorf("singleID = %v, %v", got, err)
			}
		})
	}
}

func TestNoSpace(t *testing.T) {
	for _, err := range []error{
		syscall.ENOSPC,
		fmt.Errorf("write: %w", syscall.EDQUOT),
		errors.New("unpacking failed (error: exit status 1; output: write /x: no space left on device)"),
		translate("delete", "x", syscall.ENOSPC),
	} {
		if !NoSpace(err) {
			t.Errorf("%v is not taken as a full disk", err)
		}
	}
	if NoSpace(cstorage.ErrImageUnknown) || NoSpace(nil) {
		t.Error("something else is taken as a full disk")
	}
}

func TestConfigurationErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "storage.conf")
	if err := os.WriteFile(bad, []byte("[storage\ndriver=1"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The library remembers its defaults, so it is asked directly.
	t.Setenv("CONTAINERS_STORAGE_CONF", bad)
	_, err := types.LoadStoreOptions(types.LoadOptions{})
	if err = configError(err); !strings.Contains(err.Error(), bad) {
		t.Errorf("invalid file: %v", err)
	}
	t.Setenv("CONTAINERS_STORAGE_CONF", filepath.Join(dir, "absent.conf"))
	_, err = types.LoadStoreOptions(types.LoadOptions{})
	if err = configError(err); !strings.Contains(err.Error(), "absent.conf: no such file") {
		t.Errorf("missing file: %v", err)
	}
}

// benchPaths puts the run root where it is in life, in memory.
func benchPaths(b *testing.B) Options {
	b.Helper()
	run, err := os.MkdirTemp("/dev/shm", "pod-bench-") //nolint:usetesting // in memory
	if err != nil {
		b.Skip(err)
	}
	opts := Options{Root: filepath.Join(b.TempDir(), "root"), RunRoot: run}
	b.Cleanup(func() {
		store, _, err := Open(context.Background(), opts)
		if err != nil {
			b.Error(err)
			return
		}
		if _, err := libraryOf(b, store).Shutdown(true); err != nil {
			b.Error(err)
		}
		if err := os.RemoveAll(run); err != nil {
			b.Error(err)
		}
	})
	return opts
}

func BenchmarkOpen(b *testing.B) {
	opts := benchPaths(b)
	for b.Loop() {
		store, _, err := Open(b.Context(), opts)
		if err != nil {
			b.Fatal(err)
		}
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCycle(b *testing.B) {
	ctx := b.Context()
	store, _, err := Open(ctx, benchPaths(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := range b.N {
		if err := store.CreateContainer(ctx, ContainerOptions{ID: id(i), Volatile: true}); err != nil {
			b.Fatal(err)
		}
		if _, err := store.Mount(ctx, id(i)); err != nil {
			b.Fatal(err)
		}
		if _, err := store.Unmount(ctx, id(i), false); err != nil {
			b.Fatal(err)
		}
		if err := store.Delete(ctx, id(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// A driver that the library has not is refused before anything is made.
func TestUnknownDriver(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: "nonsense"}
	if _, _, err := Open(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "use overlay or vfs") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("made %v, %v", entries, err)
	}
}

// A kill in the middle of the library's creation of a layer.
func TestDropLink(t *testing.T) {
	store := open(t, Options{})
	gone := id(5)
	links := filepath.Join(store.store.GraphRoot(), "overlay", "l")
	if err := os.MkdirAll(links, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, layer := range map[string]string{"GONE": LayerID(gone), "STAYS": "another"} {
		if err := os.Symlink(filepath.Join("..", layer, "diff"), filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(links)
	if err != nil || len(entries) != 1 || entries[0].Name() != "STAYS" {
		t.Errorf("%v, %v", entries, err)
	}
}

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"
	drivers "go.podman.io/storage/drivers"
	"golang.org/x/sys/unix"
)

// knownStore is an overlay store of one layer, and the same one as if it were known and
// not opened.
func knownStore(t *testing.T) (store *Store, front func() *Store) {
	t.Helper()
	store = open(t, Options{})
	if store.Driver() != overlayName {
		t.Skip("no overlay here")
	}
	if _, err := libraryOf(t, store).CreateLayer(id(100), "", nil, "", false, nil); err != nil {
		t.Fatal(err)
	}
	return store, func() *Store { return &Store{conf: store.conf, known: true} }
}

// makeImage makes an image as a pull does: with a configuration and a manifest.
func makeImage(t *testing.T, store *Store, n int, names ...string) *cstorage.Image {
	t.Helper()
	return imageWith(t, store, n, "manifest", true, names)
}

func imageWith(t *testing.T, store *Store, n int, manifest string, dated bool, names []string) *cstorage.Image {
	t.Helper()
	data := fmt.Appendf(nil, `{"a manifest":%d}`, n)
	opts := &cstorage.ImageOptions{BigData: []cstorage.ImageBigDataOption{
		{Key: "sha256:" + id(n), Data: fmt.Appendf(nil, "configuration %d", n)},
		{Key: manifest, Data: data, Digest: digest.FromBytes(data)},
	}}
	if dated {
		opts.Digest = digest.FromBytes(data)
	}
	img, err := libraryOf(t, store).CreateImage(id(n), names, id(100), "", opts)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestImagesOfAKnownStore(t *testing.T) {
	store, front := knownStore(t)
	makeImage(t, store, 1, "localhost/one:latest")
	makeImage(t, store, 2, "docker.io/library/two:latest", "quay.io/x/two:v2")
	makeImage(t, store, 3, "docker.io/library/three:latest")
	makeImage(t, store, 4, "quay.io/x/three:latest", "quay.io/x/four:latest")
	makeImage(t, store, 5, "docker.io/library/five@sha256:"+id(6))
	makeImage(t, store, 6)
	imageWith(t, store, 7, "manifest", false, []string{"localhost/seven:latest"})
	imageWith(t, store, 8, "documents", false, []string{"localhost/eight:latest"})
	imageWith(t, store, 9, "manifest-sha256:other", true, []string{"localhost/nine:latest"})
	// Names that an image has had are in its record too.
	lib := libraryOf(t, store)
	if err := lib.SetNames(id(6), []string{"localhost/was:latest"}); err != nil { //nolint:staticcheck // as other tools do
		t.Fatal(err)
	}
	if err := lib.SetNames(id(6), []string{"localhost/is:latest"}); err != nil { //nolint:staticcheck // likewise
		t.Fatal(err)
	}
	for key, opens := range map[string]bool{
		id(1): false, id(6): false, "localhost/one:latest": false, "quay.io/x/two:v2": false, "localhost/is:latest": false,
		"docker.io/library/five@sha256:" + id(6): false, "localhost/eight:latest": false, "localhost/nine:latest": false,
		"localhost/seven:latest": false,
		"localhost/was:latest":   true, "one": true, id(1)[:12]: true, id(99): true, "": true, `"`: true, "localhost/<one>": true,
	} {
		s := front()
		got, err := s.Image(key)
		want, wantErr := lib.Image(key)
		if !reflect.DeepEqual(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("Image(%s) = %+v, %v\nwant %+v, %v", key, got, err, want, wantErr)
		}
		if (s.store != nil) != opens {
			t.Errorf("Image(%s) opened the store: %v", key, s.store != nil)
		}
	}
	for text, want := range map[string]int{
		"/one:latest": 1, "/three:latest": 2, "/two:latest": 1, "/two:v2": 1, "/two:v3": 0, "/was:latest": 0, "/library/three:latest": 1, "/e:latest": 0,
	} {
		s := front()
		got, err := s.ImagesEnding(text)
		ours, libErr := store.ImagesEnding(text)
		if err != nil || libErr != nil || len(got) != want || want > 0 && !reflect.DeepEqual(got, ours) {
			t.Errorf("ImagesEnding(%s) = %+v, %v\nwant %d, %+v, %v", text, got, err, want, ours, libErr)
		}
		if s.store != nil {
			t.Errorf("ImagesEnding(%s) opened the store", text)
		}
	}
	for _, test := range []struct {
		id, key string
		opens   bool
	}{{id(1), "sha256:" + id(1), false}, {id(1), "manifest", true}, {id(1), "sha256:" + id(2), true}, {id(99), "sha256:" + id(99), true}} {
		s := front()
		got, err := s.ImageData(test.id, test.key)
		want, wantErr := lib.ImageBigData(test.id, test.key)
		if !slices.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) || (s.store != nil) != test.opens {
			t.Errorf("ImageData(%s, %s) = %s, %v, want %s, %v; opened: %v", test.id, test.key, got, err, want, wantErr, s.store != nil)
		}
	}
}

func TestDigestsThatTheLibraryChooses(t *testing.T) {
	one, two := digest.FromString("1"), digest.FromString("2")
	for name, test := range map[string]struct {
		img  cstorage.Image
		ok   bool
		want []digest.Digest
	}{
		"none":               {ok: true},
		"its own":            {img: cstorage.Image{Digest: one}, ok: true, want: []digest.Digest{one}},
		"a manifest's alone": {img: cstorage.Image{BigDataDigests: map[string]digest.Digest{"manifest": one}}},
		"both": {
			img: cstorage.Image{Digest: one, BigDataDigests: map[string]digest.Digest{"manifest": one, "manifest-2": two, "sha256:x": "bad"}},
			ok:  true, want: []digest.Digest{one, two},
		},
		"broken":            {img: cstorage.Image{Digest: "sha256:x"}},
		"a broken manifest": {img: cstorage.Image{Digest: one, BigDataDigests: map[string]digest.Digest{"manifest": "x"}}},
	} {
		if ok := addDigests(&test.img); ok != test.ok || ok && !slices.Equal(test.img.Digests, test.want) {
			t.Errorf("%s: %v, %v", name, ok, test.img.Digests)
		}
	}
}

// What the library refuses is refused in its words, late.
func TestBrokenListOfImages(t *testing.T) {
	store, front := knownStore(t)
	makeImage(t, store, 1, "localhost/one:latest")
	path := filepath.Join(store.place().dir(store.Root(), "images"), "images.json")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Error(err)
		}
	})
	for name, data := range map[string]string{"cut": string(whole[:len(whole)/2]), "no list": `{"id":"x"}`, "none": "x"} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		libraryOf(t, store).Free() // so that it is read once more
		_, _, want := Open(t.Context(), Options{Root: store.Root(), RunRoot: store.RunRoot()})
		s := front()
		if _, err := s.Image("localhost/one:latest"); want == nil || fmt.Sprint(err) != want.Error() || !strings.Contains(fmt.Sprint(err), "images.json") {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if _, err := s.ImagesEnding("/one:latest"); fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if _, err := s.Library(); fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
}

func TestKnown(t *testing.T) {
	store, _ := knownStore(t)
	if conf := store.conf; !known(&conf) {
		t.Fatal("a store that was opened is not known")
	}
	for name, change := range map[string]func(s *Store){
		"another driver":      func(s *Store) { s.conf.GraphDriverName = "vfs" },
		"driver not settled":  func(s *Store) { s.conf.GraphDriverName = "" },
		"another root":        func(s *Store) { s.conf.GraphRoot = t.TempDir() },
		"another run root":    func(s *Store) { s.conf.RunRoot = t.TempDir() },
		"a store of images":   func(s *Store) { s.conf.ImageStore = t.TempDir() },
		"transient":           func(s *Store) { s.conf.TransientStore = true },
		"a mount program":     func(s *Store) { s.conf.GraphDriverOptions = []string{"overlay.mount_program=/bin/true"} },
		"more stores":         func(s *Store) { s.conf.GraphDriverOptions = []string{"overlay.imagestore=/"} },
		"other mount options": func(s *Store) { s.conf.GraphDriverOptions = []string{"overlay.mountopt=nodev"} },
		"synced":              func(s *Store) { s.conf.GraphDriverOptions = []string{"overlay.sync=filesystem"} },
		"no value":            func(s *Store) { s.conf.GraphDriverOptions = []string{"overlay.sync"} },
		"no bool":             func(s *Store) { s.conf.GraphDriverOptions = []string{"overlay.skip_mount_home=perhaps"} },
		"unknown option":      func(s *Store) { s.conf.GraphDriverOptions = []string{"overlay.speed="} },
	} {
		s := &Store{conf: store.conf}
		if change(s); known(&s.conf) {
			t.Errorf("%s: known", name)
		}
	}
	for _, option := range []string{"overlay.skip_mount_home=true", "ignore_chown_errors=false", "overlay.sync=none"} {
		s := &Store{conf: store.conf}
		if s.conf.GraphDriverOptions = []string{option}; !known(&s.conf) {
			t.Errorf("%s: not known", option)
		}
	}
	// fuse-overlayfs was used once.
	if err := os.WriteFile(filepath.Join(store.Root(), overlayName, ".has-mount-program"), []byte("true"), 0o600); err != nil {
		t.Fatal(err)
	}
	if known(&store.conf) {
		t.Error("layers of a mount program: known")
	}
}

// A known store makes containers without being opened, and knows all names.
func TestContainersOfAKnownStore(t *testing.T) {
	store, front := knownStore(t)
	img := makeImage(t, store, 1, "localhost/one:latest")
	s := front()
	if !listed(t, s, ContainerOptions{ID: id(11), ImageID: img.ID, Name: "a"}) || s.store != nil {
		t.Errorf("listed by the library, or the store was opened: %v", s.store != nil)
	}
	done, err := s.createPassing(t.Context(), &ContainerOptions{ID: id(12), ImageID: img.ID, Name: "b", Volatile: true})
	if !done || err != nil || s.store != nil {
		t.Errorf("createPassing: %v, %v, opened: %v", done, err, s.store != nil)
	}
	if _, err := libraryOf(t, store).CreateContainer(id(13), []string{"theirs"}, img.ID, "", "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := libraryOf(t, store).CreateContainer(id(14), []string{"volatile"}, img.ID, "", "", &cstorage.ContainerOptions{Volatile: true}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "theirs", "volatile"} {
		_, err := front().createPassing(t.Context(), &ContainerOptions{ID: id(15), ImageID: img.ID, Name: name, Volatile: true})
		listErr := front().CreateContainer(t.Context(), ContainerOptions{ID: id(15), ImageID: img.ID, Name: name})
		for _, err := range []error{err, listErr} {
			if !errors.Is(err, ErrNameInUse) || !strings.HasSuffix(err.Error(), "the container name is in use: "+name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := front().createPassing(t.Context(), &ContainerOptions{ID: id(15), ImageID: id(99)}); !errors.Is(err, ErrNoImage) {
		t.Errorf("no image: %v", err)
	}
	if err := store.Delete(t.Context(), id(12)); err != nil {
		t.Error(err)
	}
	if got := names(t, store); !slices.Equal(got, []string{"a", "theirs", "volatile"}) {
		t.Errorf("names: %v", got)
	}
	for _, n := range []int{11, 13, 14} {
		if err := store.Delete(t.Context(), id(n)); err != nil {
			t.Error(err)
		}
	}
}

// tree describes a layer's directory; the short names, which are random, as that.
func tree(t *testing.T, home, layer string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(home, layer), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		data, _ := os.ReadFile(path)
		if filepath.Base(path) == "link" {
			target, err := os.Readlink(filepath.Join(home, "l", string(data)))
			if err != nil || len(data) != 26 || strings.Trim(string(data), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
				t.Errorf("short name %q: %v", data, err)
			}
			data = []byte(strings.ReplaceAll(target, layer, "LAYER"))
		}
		all = append(all, fmt.Sprintf("%s %o %d:%d %s", strings.TrimPrefix(path, filepath.Join(home, layer)), st.Mode, st.Uid, st.Gid, data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPlannedLayersAreTheDrivers(t *testing.T) {
	store, _ := knownStore(t)
	lib := libraryOf(t, store)
	driver, err := lib.GraphDriver()
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(store.Root(), overlayName)
	for n := 101; n < 104; n++ {
		if _, err := lib.CreateLayer(id(n), id(n-1), nil, "", false, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Lchown(store.layerDir(id(101)+"/diff"), 5, 6), unix.Chmod(store.layerDir(id(101)+"/diff"), 0o1751)); err != nil {
		t.Fatal(err)
	}
	for n, parent := range []string{id(100), id(101), id(103)} {
		theirs, ours := id(10+n), id(20+n)
		if err := driver.CreateReadWrite(theirs, parent, &drivers.CreateOpts{}); err != nil {
			t.Fatal(err)
		}
		plan, ok := planOverlay(home, ours, parent)
		if !ok {
			t.Fatalf("on %s: left to the library", parent)
		}
		if err := plan.make(); err != nil {
			t.Fatal(err)
		}
		if got, want := tree(t, home, ours), tree(t, home, theirs); !slices.Equal(got, want) {
			t.Errorf("on %s:\n%s\nwant\n%s", parent, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if _, ok := planOverlay(home, ours, parent); ok {
			t.Error("over a directory that is there")
		}
		links, err := os.ReadDir(filepath.Join(home, "l"))
		if err = errors.Join(err, plan.undo()); err != nil {
			t.Error(err)
		}
		noLayer(t, store, ours)
		if left, err := os.ReadDir(filepath.Join(home, "l")); err != nil || len(left) != len(links)-1 {
			t.Errorf("short names: %v, %v", left, err)
		}
		if err := driver.Remove(theirs); err != nil {
			t.Error(err)
		}
	}
	for name, spoil := range map[string]func(dir string) error{
		"no short name": func(dir string) error { return os.Truncate(filepath.Join(dir, "link"), 0) },
		"no lower":      func(dir string) error { return os.Remove(filepath.Join(dir, "lower")) },
		"an older tool": func(dir string) error { return os.Remove(filepath.Join(dir, "lower-layers")) },
		"another owner": func(dir string) error {
			return unix.Lsetxattr(filepath.Join(dir, "diff"), "user.containers.override_stat", []byte("1:1:0755"), 0)
		},
		"no directory": func(dir string) error { return os.Remove(filepath.Join(dir, "diff")) },
		"a link instead": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "diff")), os.Symlink("/", filepath.Join(dir, "diff")))
		},
	} {
		if err := driver.CreateReadWrite(id(30), id(103), &drivers.CreateOpts{}); err != nil {
			t.Fatal(err)
		}
		if err := spoil(filepath.Join(home, id(30))); err != nil {
			t.Skip(err)
		}
		if _, ok := planOverlay(home, id(31), id(30)); ok {
			t.Errorf("%s: planned", name)
		}
		if err := removeOverlay(home, id(30)); err != nil {
			t.Fatal(err)
		}
	}
}

package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	drivers "go.podman.io/storage/drivers"
)

// An empty note of a short name, as a kill leaves it, takes no other layer's away.
func TestEmptyNote(t *testing.T) {
	empty := func(t *testing.T, s *Store, layer string) {
		t.Helper()
		if err := os.Truncate(filepath.Join(s.layerDir(layer), "link"), 0); err != nil {
			t.Fatal(err)
		}
	}
	for name, run := range map[string]func(t *testing.T, s *Store, img string){
		"listed": func(t *testing.T, s *Store, img string) {
			t.Helper()
			listed(t, s, ContainerOptions{ID: id(1), ImageID: img})
			empty(t, s, LayerID(id(1)))
			if err := s.Delete(t.Context(), id(1)); err != nil {
				t.Error(err)
			}
		},
		"the library's": func(t *testing.T, s *Store, img string) {
			t.Helper()
			if err := s.CreateContainer(t.Context(), ContainerOptions{ID: id(1), ImageID: img, Volatile: true}); err != nil {
				t.Fatal(err)
			}
			empty(t, s, LayerID(id(1)))
			if err := s.Delete(t.Context(), id(1)); err != nil {
				t.Error(err)
			}
		},
		"the directory alone": func(t *testing.T, s *Store, _ string) {
			t.Helper()
			driver, err := libraryOf(t, s).GraphDriver()
			if err != nil {
				t.Fatal(err)
			}
			if err := driver.CreateReadWrite(LayerID(id(1)), id(100), &drivers.CreateOpts{}); err != nil {
				t.Fatal(err)
			}
			empty(t, s, LayerID(id(1)))
			if err := s.Delete(t.Context(), id(1)); err != nil {
				t.Error(err)
			}
		},
		"the layer alone": func(t *testing.T, s *Store, _ string) {
			t.Helper()
			if _, err := libraryOf(t, s).CreateLayer(LayerID(id(1)), id(100), nil, "", true, nil); err != nil {
				t.Fatal(err)
			}
			empty(t, s, LayerID(id(1)))
			if err := s.DeleteLayer(t.Context(), LayerID(id(1))); err != nil {
				t.Error(err)
			}
		},
		"unfinished": func(t *testing.T, s *Store, _ string) {
			t.Helper()
			if _, err := libraryOf(t, s).CreateLayer(id(2), id(100), nil, "", false, nil); err != nil {
				t.Fatal(err)
			}
			empty(t, s, id(2))
			path := filepath.Join(s.place().dir(s.Root(), "layers"), "layers.json")
			list, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			unfinished := strings.Replace(string(list), `"id":"`+id(2)+`",`, `"id":"`+id(2)+`","flags":{"incomplete":true},`, 1)
			if unfinished == string(list) {
				t.Fatalf("no layer in %s", list)
			}
			if err := os.WriteFile(path, []byte(unfinished), 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := s.Synced()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := libraryOf(t, again).CreateLayer(id(3), id(100), nil, "", false, nil); err != nil {
				t.Fatal(err)
			}
			if err := libraryOf(t, again).DeleteLayer(id(3)); err != nil {
				t.Error(err)
			}
			noLayer(t, s, id(2))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, img := withImage(t)
			before, err := os.ReadDir(s.layerDir("l"))
			if err != nil || len(before) != 1 {
				t.Skipf("no short names: %v, %v", before, err)
			}
			run(t, s, img)
			after, err := os.ReadDir(s.layerDir("l"))
			if err != nil || len(after) != 1 || after[0].Name() != before[0].Name() {
				t.Errorf("%v, was %v: %v", after, before, err)
			}
		})
	}
}

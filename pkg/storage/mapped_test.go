package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/storage/pkg/idtools"
)

func TestWithMappedTop(t *testing.T) {
	const list = `[{"id":"a","layer":"l","new-field":{"x":[1]}},{"id":"b","mapped-layers":["m1"],"layer":"l"}]`
	for _, c := range []struct{ name, image, layer, want, err string }{
		{name: "first", image: "a", layer: "m", want: `[{"id":"a","layer":"l","mapped-layers":["m"],"new-field":{"x":[1]}},{"id":"b","mapped-layers":["m1"],"layer":"l"}]`},
		{name: "second", image: "b", layer: "m", want: `[{"id":"a","layer":"l","new-field":{"x":[1]}},{"id":"b","layer":"l","mapped-layers":["m1","m"]}]`},
		{name: "there", image: "b", layer: "m1"},
		{name: "gone", image: "c", layer: "m", err: "removed meanwhile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, changed, err := withMappedTop([]byte(list), c.image, c.layer)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || string(got) != c.want || changed != (c.want != "") {
				t.Errorf("got %s, %v, %v", got, changed, err)
			}
		})
	}
	if _, _, err := withMappedTop([]byte(`{`), "a", "m"); err == nil {
		t.Error("no error of a damaged list")
	}
}

func TestMapID(t *testing.T) {
	maps := []idtools.IDMap{{ContainerID: 0, HostID: 1, Size: 1000}, {ContainerID: 1000, HostID: 0, Size: 1}, {ContainerID: 1001, HostID: 1001, Size: 10}}
	for id, want := range map[uint32]uint32{0: 1, 999: 1000, 1000: 0, 1001: 1001, 1010: 1010, 1011: overflowID} {
		if got := mapID(maps, id); got != want {
			t.Errorf("%d: got %d, want %d", id, got, want)
		}
	}
}

func TestReadNote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note")
	for text, want := range map[string]note{
		`{"Boot":"b","Of":"l","Staging":"12"}`:      {Boot: "b", Of: "l", Staging: "12"},
		`{"Boot":"b","Of":"l"}`:                     {Boot: "b", Of: "l"},
		`{"Boot":"b","Of":"l","Staging":"../../x"}`: {},
		`{"Boot":"b","Of":"l","Staging":".."}`:      {},
		`{"Boot`:                                    {},
		``:                                          {},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readNote(path); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

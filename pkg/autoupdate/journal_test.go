package autoupdate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

func TestJournal(t *testing.T) {
	j := newJournal(t.TempDir())
	if all, err := j.read(); err != nil || len(all) != 0 {
		t.Fatalf("before the first: %v, %v", all, err)
	}
	unit := &entry{Phase: phaseUpdate, Began: time.Now().UTC().Round(0), Unit: "a.service", Items: []item{{ID: "1", Name: "a", Old: "old"}}, Held: []string{"old"}}
	made := &entry{Phase: phaseUndo, Items: []item{{ID: "2", Name: "b", Old: "old", New: "new", Remove: true}}, Held: []string{"old"}}
	for _, e := range []*entry{unit, made, unit} {
		if err := j.write(e); err != nil {
			t.Fatal(err)
		}
	}
	all, err := j.read()
	if err != nil || len(all) != 2 {
		t.Fatalf("read %v, %v", all, err)
	}
	for _, e := range all {
		if want := map[string]*entry{"a.service": unit, "": made}[e.Unit]; !reflect.DeepEqual(e, want) {
			t.Errorf("got %+v, want %+v", e, want)
		}
	}
	if !j.holds(all, unit, "old") || j.holds(all, unit, "new") {
		t.Error("whether another update keeps an image is not told")
	}
	if err := j.remove(made); err != nil {
		t.Fatal(err)
	}
	if err := j.remove(made); err != nil {
		t.Errorf("once more: %v", err)
	}
	if all, err = j.read(); err != nil || len(all) != 1 || j.holds(all, unit, "old") {
		t.Errorf("after one is removed: %v, %v", all, err)
	}
}

func TestJournalDamaged(t *testing.T) {
	j := newJournal(t.TempDir())
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// What a killed write leaves goes; what cannot be read is named.
	stray := filepath.Join(j.dir, ".tmp-1.json123")
	if err := os.WriteFile(stray, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := j.read(); err != nil || len(all) != 0 {
		t.Errorf("with a stray file: %v, %v", all, err)
	}
	if _, err := os.Stat(stray); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the stray file is still there")
	}
	bad := filepath.Join(j.dir, "0123.json")
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := j.read(); err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("of a damaged file: %v", err)
	}
}

func TestGroupKeys(t *testing.T) {
	// What is left of an update must be found for the task that it was.
	for _, tt := range []struct {
		task task
		e    entry
	}{
		{task{Container: &state.Container{Name: "c"}, kind: policy.Local, unit: "u.service"}, entry{Unit: "u.service", Items: []item{{Name: "c"}}}},
		{task{Container: &state.Container{Name: "c"}}, entry{Items: []item{{Name: "c"}}}},
	} {
		if got := tt.e.what(); got != tt.task.what() {
			t.Errorf("%q is not %q", got, tt.task.what())
		}
	}
}

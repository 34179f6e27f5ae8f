package libpod

import (
	"os"
	"testing"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/storage"
)

// TestExternal: a container of another tool is seen, pod's own is not one, with
// or without a record.
func TestExternal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the library's drivers need root, or a user namespace")
	}
	ours, lost := record(1, "ours", nil), record(2, "lost", nil)
	e := viewEngine(t, ours)
	dir := t.TempDir()
	store, _, err := storage.Open(t.Context(), storage.Options{Root: dir + "/root", RunRoot: dir + "/run", Driver: "vfs"})
	if err != nil {
		t.Fatal(err)
	}
	lib, err := store.Library()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := lib.Shutdown(true); err != nil {
			t.Error(err)
		}
	})
	e.Storage = func() (*storage.Store, error) { return store, nil }
	for _, c := range []*state.Container{ours, lost} {
		if err := store.CreateContainer(t.Context(), storage.ContainerOptions{ID: c.ID, Name: c.Name, Created: c.Created}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := lib.CreateContainer("", []string{"theirs"}, "", "", "", nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"theirs": true, "ours": false, "lost": false, "nobody": false} {
		if got, err := e.External(t.Context(), name); err != nil || got != want {
			t.Errorf("External(%s) = %v, %v, want %v", name, got, err, want)
		}
	}
	list, err := e.Ps(t.Context(), PsOptions{External: true, Size: true})
	if err != nil || len(list) != 1 || list[0].Names[0] != "theirs" || list[0].Status != "Storage" || list[0].Size == nil {
		t.Fatalf("%+v, %v", list, err)
	}
	list, err = e.Ps(t.Context(), PsOptions{External: true, All: true})
	if err != nil || len(list) != 2 || list[0].Names[0] != "ours" {
		t.Fatalf("%+v, %v", list, err)
	}
}

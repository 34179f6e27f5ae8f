package installer

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T, dir string) *Directory {
	t.Helper()
	d, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// content is what a directory holds: file by content, links as tree has them.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if target, err := os.Readlink(path); err == nil {
			all[name] = "->" + target
			return nil
		}
		data, err := os.ReadFile(path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func same(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := content(t, dir); !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestInstallAndRemove(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "systemd")
	d := open(t, dir)
	files := []File{
		{Name: "a.container", Data: []byte("a"), Mode: 0o644},
		{Name: "app/b.pod", Data: []byte("b"), Mode: 0o644},
		{Name: "app/conf/run.sh", Data: []byte("c"), Mode: 0o755},
		{Name: "app/w@1.container", Link: "w@.container"},
	}
	paths, err := d.Install(t.Context(), files)
	if err != nil || len(paths) != 4 || paths[0] != filepath.Join(dir, "a.container") {
		t.Fatalf("%v, %v", paths, err)
	}
	want := map[string]string{
		"a.container": "a", "app/b.pod": "b", "app/conf/run.sh": "c", "app/w@1.container": "->w@.container",
		".pod.list": "a.container\n", "app/.pod.list": "b.pod\nw@1.container\n",
	}
	same(t, dir, want)
	if info, err := os.Stat(filepath.Join(dir, "app/conf/run.sh")); err != nil || info.Mode() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if failed := d.Conflicts(files, false); len(failed) != 4 || !strings.Contains(failed[0].Error(), "a Quadlet with name a.container already exists, refusing to overwrite") {
		t.Errorf("%v", failed)
	}
	if failed := d.Conflicts(files, true); failed != nil {
		t.Errorf("%v", failed)
	}
	if _, err := d.Install(t.Context(), []File{{Name: "a.container", Data: []byte("new"), Mode: 0o644}, {Name: "z.volume", Data: []byte("z"), Mode: 0o644}}); err != nil {
		t.Fatal(err)
	}
	want["a.container"], want["z.volume"], want[".pod.list"] = "new", "z", "a.container\nz.volume\n"
	same(t, dir, want)
	if err := d.Remove(t.Context(), []string{"z.volume", "app"}); err != nil {
		t.Fatal(err)
	}
	same(t, dir, map[string]string{"a.container": "new", ".pod.list": "a.container\n"})
	if err := d.Remove(t.Context(), []string{"a.container"}); err != nil {
		t.Fatal(err)
	}
	same(t, dir, map[string]string{})
}

func TestInstallUndoes(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if _, err := d.Install(t.Context(), []File{{Name: "a.container", Data: []byte("old"), Mode: 0o644}}); err != nil {
		t.Fatal(err)
	}
	before := content(t, dir)
	// A directory cannot be replaced by a file.
	if err := os.MkdirAll(filepath.Join(dir, "c.volume", "x"), 0o750); err != nil {
		t.Fatal(err)
	}
	files := []File{
		{Name: "a.container", Data: []byte("new"), Mode: 0o644},
		{Name: "new/b.pod", Data: []byte("b"), Mode: 0o644},
		{Name: "c.volume", Data: []byte("c"), Mode: 0o644},
	}
	if failed := d.Conflicts(files, true); len(failed) != 1 || !strings.Contains(failed[0].Error(), "is a directory") {
		t.Errorf("%v", failed)
	}
	if _, err := d.Install(t.Context(), files); err == nil {
		t.Fatal("no error")
	}
	same(t, dir, before)
	if _, err := os.Lstat(filepath.Join(dir, "new")); err == nil {
		t.Error("the new directory is left")
	}
}

func TestNamesCannotLeave(t *testing.T) {
	outside := t.TempDir()
	dir := tree(t, map[string]string{"app": "->" + outside})
	d := open(t, dir)
	for _, name := range []string{"app/a.container", "../a.container"} {
		if _, err := d.Install(t.Context(), []File{{Name: name, Data: []byte("x"), Mode: 0o644}}); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	same(t, outside, map[string]string{})
	// What is removed is the link.
	if err := os.WriteFile(filepath.Join(outside, "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), []string{"app"}); err != nil {
		t.Error(err)
	}
	same(t, outside, map[string]string{"kept": ""})
}

func TestOpenFinishes(t *testing.T) {
	for name, c := range map[string]struct{ left, want map[string]string }{
		"nothing is planned": {
			left: map[string]string{".pod-installing/0": "x", ".pod-installing/plan.new": "{}", "a.volume": "a"},
			want: map[string]string{"a.volume": "a"},
		},
		"one of two is placed": {
			left: map[string]string{".pod-installing/plan": `{"place":["a.volume","b.volume"]}`, ".pod-installing/1": "b", "a.volume": "a"},
			want: map[string]string{"a.volume": "a", "b.volume": "b", ".pod.list": "a.volume\nb.volume\n"},
		},
		"all are placed, the list is not": {
			left: map[string]string{".pod-installing/plan": `{"place":["a.volume"]}`, "a.volume": "a", ".pod.list": "a.volume\ngone.volume\n"},
			want: map[string]string{"a.volume": "a", ".pod.list": "a.volume\n"},
		},
		"one of two is removed": {
			left: map[string]string{".pod-installing/plan": `{"remove":["a.volume","app"]}`, "app/x.pod": "x", "app/.pod.list": "x.pod\n", ".pod.list": "a.volume\n"},
			want: map[string]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, c.left)
			open(t, dir)
			same(t, dir, c.want)
		})
	}
}

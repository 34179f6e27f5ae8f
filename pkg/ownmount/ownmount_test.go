package ownmount

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// needMount skips where nothing may be mounted.
func needMount(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSub(t *testing.T) {
	needMount(t)
	base := t.TempDir()
	root, d := filepath.Join(base, "root"), Dir(filepath.Join(base, "m"))
	write(t, filepath.Join(root, "a/b/file"), "inside")
	write(t, filepath.Join(base, "secret/file"), "outside")
	for link, to := range map[string]string{"abs": filepath.Join(base, "secret"), "rel": "../secret", "good": "a/b"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, sub := range []string{"a/b", "good"} {
		at, err := d.Sub(i, root, sub)
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := os.ReadFile(filepath.Join(at, "file")); string(data) != "inside" {
			t.Errorf("%s holds %q", sub, data)
		}
	}
	if at, err := d.Sub(2, root, "a/b/file"); err != nil {
		t.Error(err)
	} else if data, _ := os.ReadFile(at); string(data) != "inside" {
		t.Errorf("the file holds %q", data)
	}
	for _, sub := range []string{"abs", "rel", "fifo", "none"} {
		if at, err := d.Sub(9, root, sub); err == nil {
			t.Errorf("%s bound at %s", sub, at)
		}
	}
	if err := d.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(string(d)); !os.IsNotExist(err) { //nolint:forbidigo // a test
		t.Errorf("left: %v", err)
	}
	if data, _ := os.ReadFile(filepath.Join(root, "a/b/file")); string(data) != "inside" {
		t.Error("Release removed what was bound")
	}
}

func TestOverlay(t *testing.T) {
	needMount(t)
	base := t.TempDir()
	lower, d := filepath.Join(base, "low,er:x"), Dir(filepath.Join(base, "m"))
	write(t, filepath.Join(lower, "file"), "old")
	if err := os.Chmod(lower, 0o751); err != nil {
		t.Fatal(err)
	}
	upper, work, err := Scratch(filepath.Join(base, "scratch"), lower)
	if err != nil {
		t.Fatal(err)
	}
	at, err := d.Overlay(0, Overlay{Lower: lower, Upper: upper, Work: work})
	if err != nil {
		t.Skipf("no overlay here: %v", err)
	}
	write(t, filepath.Join(at, "file"), "new")
	if info, err := os.Stat(at); err != nil || info.Mode().Perm() != 0o751 {
		t.Errorf("top is %v, %v", info.Mode(), err)
	}
	if err := d.Release(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{filepath.Join(lower, "file"): "old", filepath.Join(upper, "file"): "new"} {
		if data, _ := os.ReadFile(path); string(data) != want {
			t.Errorf("%s holds %q", path, data)
		}
	}
	if _, _, err := Scratch(filepath.Join(base, "s2"), filepath.Join(lower, "file")); err == nil {
		t.Error("an overlay over a file")
	}
}

package alias

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLink(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "bin")
	for _, before := range []string{"", self, "/some/older/version"} {
		if before != "" {
			if err := os.Remove(filepath.Join(dir, "name")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(before, filepath.Join(dir, "name")); err != nil {
				t.Fatal(err)
			}
		}
		path, err := Link(dir, "name")
		if err != nil {
			t.Fatal(err)
		}
		if to, err := os.Readlink(path); err != nil || to != self || path != filepath.Join(dir, "name") {
			t.Errorf("after %q: %s leads to %q, %v", before, path, to, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

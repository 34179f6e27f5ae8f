package image

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/rootless-pod/pod/internal/heldir"
)

// What a dead process left is removed by the next; what a living one uses stays,
// and so does everything with another name.
func TestScratch(t *testing.T) {
	base := t.TempDir()
	dead := filepath.Join(base, scratchPrefix+"dead")
	other := filepath.Join(base, "container_images_x")
	for _, dir := range []string{dead, other} {
		if err := os.MkdirAll(filepath.Join(dir, "blob"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	living, err := newScratch(base)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the dead one's directory is there: ", err)
	}
	second, err := newScratch(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{living.Path(), second.Path(), other} {
		if _, err := os.Lstat(dir); err != nil {
			t.Error(err)
		}
	}
	for _, s := range []*heldir.Dir{living, second} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(s.Path()); !errors.Is(err, fs.ErrNotExist) {
			t.Error("still there: ", err)
		}
	}
	if _, err := newScratch(filepath.Join(base, "nowhere")); err == nil {
		t.Error("no error without a base directory")
	}
}

package heldir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// What still unpacks makes files while the directory is removed.
func TestSweepWhileFilled(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "x-1", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	done := make(chan bool)
	begun := make(chan bool)
	go func() {
		defer close(done)
		for i := range 3000 {
			f, err := root.Create(strconv.Itoa(i))
			if err != nil {
				return // it is gone
			}
			_ = f.Close()
			if i == 100 {
				close(begun)
			}
		}
	}()
	<-begun
	Sweep(base, "x-", nil)
	<-done
	if _, err := os.Lstat(filepath.Join(base, "x-1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
}

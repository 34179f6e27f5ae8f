package heldir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestSweepLeavesTheLiving(t *testing.T) {
	base := t.TempDir()
	mine, err := New(base, "x-")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x-dead", "x-stuck", "y-other"} {
		if err := os.Mkdir(filepath.Join(base, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var undone []string
	Sweep(base, "x-", func(dir string) error {
		undone = append(undone, filepath.Base(dir))
		if filepath.Base(dir) == "x-stuck" {
			return errors.New("not yet")
		}
		return nil
	})
	if len(undone) != 2 {
		t.Errorf("undone: %v", undone)
	}
	for name, want := range map[string]bool{filepath.Base(mine.Path()): true, "x-dead": false, "x-stuck": true, "y-other": true} {
		if _, err := os.Stat(filepath.Join(base, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
	if err := mine.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mine.Path()); err == nil {
		t.Error("Close left the directory")
	}
}

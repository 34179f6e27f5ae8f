package reserve

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReserve(t *testing.T) {
	root := t.TempDir()
	if Size(root) != 0 {
		t.Error("a size before it is made")
	}
	// What an older pod made is replaced.
	if err := os.MkdirAll(filepath.Join(root, "pod"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir(root), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Ensure(root); err != nil {
			t.Fatal(err)
		}
		if got := Size(root); got != files*fileSize {
			t.Errorf("size %d, want %d", got, files*fileSize)
		}
	}
	for n := range files {
		var st unix.Stat_t
		if err := unix.Stat(file(root, n), &st); err != nil || st.Blocks*512 < fileSize {
			t.Errorf("file %d: %d blocks, %v: it is sparse", n, st.Blocks, err)
		}
	}
	if Lend(root) || Size(root) == 0 {
		t.Error("lent although there is room")
	}
	// Killed half way: it is completed.
	if err := os.Remove(file(root, files-1)); err != nil {
		t.Fatal(err)
	}
	if err := Ensure(root); err != nil || Size(root) != files*fileSize {
		t.Errorf("not completed: %d, %v", Size(root), err)
	}
	for range 2 {
		if err := Free(root); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(dir(root)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("not freed: %v", err)
	}
}

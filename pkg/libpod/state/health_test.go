package state

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestQuickCheck(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := QuickCheck(t.Context(), root); err != nil {
		t.Errorf("no records: %v", err)
	}
	s, err := Open(t.Context(), Options{GraphRoot: root, RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if err := s.Add(t.Context(), &Container{ID: strings.Repeat(name, 64), Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := QuickCheck(t.Context(), root); err != nil {
		t.Errorf("in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := QuickCheck(t.Context(), root); err != nil {
		t.Errorf("closed: %v", err)
	}
	if err := quickCheck(t.Context(), filepath.Join(root, "pod", "state.db"), "ro&immutable=1"); err != nil {
		t.Errorf("as on a read-only disk: %v", err)
	}
	file := filepath.Join(root, "pod", "state.db")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < min(len(data), 3*4096); i++ {
		data[i] = 0x5a
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := QuickCheck(t.Context(), root); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("damaged: %v", err)
	}
}

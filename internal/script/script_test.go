package script

import (
	"os"
	"path/filepath"
	"testing"
)

func TestIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, want := range map[string]bool{"#!/bin/sh\n": true, "#!": true, "#": false, "": false, "\x7fELF": false} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Is(path); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := Is(filepath.Join(dir, "none")); err == nil {
		t.Error("no error for a file that is not there")
	}
}

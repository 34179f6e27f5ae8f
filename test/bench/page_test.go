package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage holds the page against the runs beside it: its table is made, not typed.
func TestPage(t *testing.T) {
	const page = "../../docs/performance.md"
	files, err := filepath.Glob("../../docs/performance/run-*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no runs in docs/performance: %v", err)
	}
	var made bytes.Buffer
	if err := table(files, "", &made); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := insert(string(data), made.String()); err != nil || want != string(data) {
		t.Errorf("docs/performance.md is not what make bench-page makes (%v)", err)
	}
	if !strings.Contains(string(data), "](performance/start.svg)") {
		t.Error("docs/performance.md does not show the picture")
	}
	if _, err := os.Stat("../../docs/performance/start.svg"); err != nil {
		t.Error(err)
	}
}

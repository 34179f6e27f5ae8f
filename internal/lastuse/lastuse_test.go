package lastuse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMark(t *testing.T) {
	root := t.TempDir()
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	if !Of(root, a).IsZero() {
		t.Error("a time before the first use")
	}
	before := time.Now().Add(-time.Second)
	Mark(root, a)
	Mark(root, b)
	if got := Of(root, a); got.Before(before) || got.After(time.Now().Add(time.Second)) {
		t.Errorf("last use %v, want now", got)
	}
	old := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(dir(root), a), old, old); err != nil {
		t.Fatal(err)
	}
	if got := Of(root, a); !got.Equal(old) {
		t.Errorf("last use %v, want %v", got, old)
	}
	Mark(root, a)
	if got := Of(root, a); got.Before(before) {
		t.Errorf("used again, but last use is %v", got)
	}
	MarkAt(root, a, old)
	if got := Of(root, a); got.Before(before) {
		t.Errorf("an older use came after, and last use is %v", got)
	}
	c := strings.Repeat("c", 64)
	MarkAt(root, c, old)
	if got := Of(root, c); !got.Equal(old) {
		t.Errorf("last use %v, want %v", got, old)
	}
	Keep(root, func(id string) bool { return id == b })
	if !Of(root, a).IsZero() || !Of(root, c).IsZero() || Of(root, b).IsZero() {
		t.Error("Keep kept the wrong one")
	}
}

func TestMarkRefusesPaths(t *testing.T) {
	root := t.TempDir()
	for _, id := range []string{"", "..", "../../x", strings.Repeat("A", 64), strings.Repeat("/", 64)} {
		Mark(root, id)
		if !Of(root, id).IsZero() {
			t.Errorf("%q was marked", id)
		}
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) > 0 {
		t.Errorf("something was written: %v, %v", entries, err)
	}
}

func BenchmarkMark(b *testing.B) {
	root, id := b.TempDir(), strings.Repeat("a", 64)
	for b.Loop() {
		Mark(root, id)
	}
}

package diskuse

import (
	"testing"
	"time"
)

func TestImages(t *testing.T) {
	old := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	images := []Image{
		{ID: "aaaaaaaaaaaaaaaa", Names: []string{"localhost/a:1", "localhost/a:2"}, LastUsed: old, Own: 1, Layers: []string{"base", "mid", "a"}},
		{ID: "bbbbbbbbbbbbbbbb", Names: []string{"localhost/b:1"}, LastUsed: old, Own: 2, Layers: []string{"base", "mid"}, Containers: []Container{
			{Name: "web", State: "running", Live: true, Size: 7}, {Name: "done", State: "exited", Size: 3},
		}},
		{ID: "cccccccccccccccc", LastUsed: old, Own: 3, Layers: []string{"base", "c"}, Containers: []Container{{Name: "work", State: "build", Foreign: true}}},
	}
	layers := map[string]int64{"base": 1000, "mid": 500, "a": 40, "c": 30, "lost": 9}
	got := Images(images, layers)
	want := []Row{
		{
			Kind: "shared layers", What: "1 layer", HeldBy: "3 images: localhost/a:1, localhost/b:1, <none> cccccccccccc", Size: 1000,
			Command: "pod rm --force web done && pod rmi --force localhost/a:1 localhost/a:2 localhost/b:1 cccccccccccc", Frees: 1000 + 500 + 40 + 30 + 6 + 10,
		},
		{
			Kind: "shared layers", What: "1 layer", HeldBy: "2 images: localhost/a:1, localhost/b:1", Size: 500,
			Command: "pod rm --force web done && pod rmi localhost/a:1 localhost/a:2 localhost/b:1", Frees: 500 + 40 + 3 + 10,
		},
		{Kind: "image", What: "localhost/a:1", HeldBy: "also named localhost/a:2", LastUsed: old, Size: 41, Command: "pod rmi localhost/a:1 localhost/a:2", Frees: 41},
		{
			Kind: "image", What: "<none> cccccccccccc", HeldBy: "another tool's container work (build)", LastUsed: old, Size: 33,
			Command: "pod rmi --force cccccccccccc", Frees: 33,
		},
		{
			Kind: "image", What: "localhost/b:1", HeldBy: "container web (running), container done (exited)", Size: 2,
			Command: "pod rm --force web done && pod rmi localhost/b:1", Frees: 12,
		},
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d:\n%+v, want\n%+v", i, got[i], want[i])
		}
	}
	if n, size := Unheld(images, layers); n != 1 || size != 9 {
		t.Errorf("unheld: %d layers, %d bytes", n, size)
	}
	if rows := Images(nil, nil); len(rows) != 0 {
		t.Errorf("rows of nothing: %+v", rows)
	}
}

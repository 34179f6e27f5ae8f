package gc

import (
	"strings"
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/settings"
)

func TestPlan(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	items := []Item{
		{Kind: Image, ID: "young", LastUsed: ago(2 * day), Own: 1, Layers: []string{"base", "y"}},
		{Kind: Image, ID: "old", LastUsed: ago(40 * day), Own: 1, Layers: []string{"base", "o"}},
		{Kind: Image, ID: "tagged", LastUsed: ago(50 * day), Named: true, Own: 1, Layers: []string{"t"}},
		{Kind: Image, ID: "now", LastUsed: ago(time.Minute), Own: 1, Layers: []string{"n"}},
		{Kind: Container, ID: "container", LastUsed: ago(40 * day), Own: 10},
		{Kind: Volume, ID: "volume", LastUsed: ago(60 * day), Own: 100},
	}
	layers := map[string]int64{"base": 1000, "y": 20, "o": 30, "t": 40, "n": 50}
	// base is held by an image that cannot go, in "shared".
	alone := map[string]int{"base": 2, "y": 1, "o": 1, "t": 1, "n": 1}
	shared := map[string]int{"base": 3, "y": 1, "o": 1, "t": 1, "n": 1}
	tests := []struct {
		name    string
		policy  settings.GC
		holders map[string]int
		free    int64
		want    string
	}{
		{"nothing set", settings.GC{}, alone, 0, ""},
		{"allowed alone does nothing", settings.GC{Tagged: true, Containers: true, Volumes: true}, alone, 0, ""},
		{"unused for", settings.GC{UnusedFor: new(30 * day)}, alone, 0, "old"},
		{"exactly that long", settings.GC{UnusedFor: new(40 * day)}, alone, 0, "old"},
		{"not that long", settings.GC{UnusedFor: new(40*day + 1)}, alone, 0, ""},
		{"zero spares the last hour", settings.GC{UnusedFor: new(time.Duration(0))}, alone, 0, "old young"},
		{"tagged too", settings.GC{UnusedFor: new(30 * day), Tagged: true}, alone, 0, "tagged old"},
		{"containers too", settings.GC{UnusedFor: new(30 * day), Containers: true}, alone, 0, "container old"},
		{"volumes too", settings.GC{UnusedFor: new(30 * day), Volumes: true}, alone, 0, "volume old"},
		{"a size that is kept", settings.GC{MaxSize: 2000}, alone, 0, ""},
		{"the oldest suffices", settings.GC{MaxSize: 1170}, alone, 0, "old"},
		{"both, with what they share", settings.GC{MaxSize: 1100}, alone, 0, "old young"},
		{"volumes do not count as size", settings.GC{MaxSize: 1, Volumes: true}, alone, 0, "old young"},
		{"what others hold frees nothing", settings.GC{KeepFree: 1000}, shared, 0, "old young"},
		{"enough is free", settings.GC{KeepFree: 1000}, alone, 1000, ""},
		{"some is missing", settings.GC{KeepFree: 1000}, alone, 980, "old"},
		{"the volume goes first", settings.GC{KeepFree: 100, Volumes: true}, alone, 0, "volume"},
		{"two limits", settings.GC{KeepFree: 10, UnusedFor: new(30 * day), Tagged: true}, alone, 0, "tagged old"},
	}
	for _, tt := range tests {
		disk := Disk{Images: 1190, Free: tt.free, Layers: layers, Holders: tt.holders}
		var got []string
		for _, item := range Plan(items, disk, &tt.policy, now) {
			got = append(got, item.ID)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
	if alone["base"] != 2 {
		t.Error("the caller's numbers were changed")
	}
}

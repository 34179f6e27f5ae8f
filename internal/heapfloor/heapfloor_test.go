package heapfloor

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestPercent(t *testing.T) {
	const floor = 32 << 20
	for _, c := range []struct {
		name  string
		alive uint64
		want  int
	}{
		{"unknown", 0, least},
		{"as good as nothing", 1 << 20, 775},
		{"a quarter", 8 << 20, 300},
		{"just below", 31 << 20, least},
		{"above", 64 << 20, least},
	} {
		if got := percent(floor, c.alive); got != c.want {
			t.Errorf("%s: percent(%d) = %d, want %d", c.name, c.alive, got, c.want)
		}
	}
}

var sink []byte

// collections counts those of 256 MB of garbage in pieces.
func collections() uint32 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 256 << 20 / (32 << 10) {
		sink = make([]byte, 32<<10)
	}
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

func TestSet(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	without := collections()
	Set(64 << 20)
	if with := collections(); with == 0 || with > without/4 {
		t.Errorf("%d collections with the floor, %d without", with, without)
	}
}

func TestSetEnvironment(t *testing.T) {
	t.Setenv("GOGC", "50")
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	Set(64 << 20)
	if got := debug.SetGCPercent(50); got != 50 {
		t.Errorf("GOGC became %d, though the environment says 50", got)
	}
}

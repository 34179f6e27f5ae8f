// Package heapfloor lets a program have garbage up to an amount before it collects
// any, however little of its heap is alive. Go's own measure is a multiple of what is
// alive: a program that copies files with a megabyte of state collects for every few
// hundred of them.
package heapfloor

import (
	"os"
	"runtime"
	"runtime/debug"
)

// least is how much of what is alive, in percent, may be garbage in a heap above the floor.
const least = 75

// goSmallest is the heap, at GOGC=100, below which Go never collects.
const goSmallest = 4 << 20

// Set lets the heap grow to floor bytes before each collection, and above that to
// what is alive and three quarters more. GOGC in the environment goes over it.
func Set(floor int) {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(max(least, floor*100/goSmallest))
	again(floor)
}

// again sets the percentage for the collection after the next, and so on.
func again(floor int) {
	runtime.AddCleanup(new([64]byte), func(floor int) {
		debug.SetGCPercent(percent(floor, alive()))
		again(floor)
	}, floor)
}

// percent is the GOGC with which a heap of which so much is alive grows to floor.
func percent(floor int, alive uint64) int {
	if alive == 0 || alive >= uint64(floor) {
		return least
	}
	return max(least, int(uint64(floor)-alive)*100/int(max(alive, goSmallest)))
}

// alive is what the collection has left, and what little came since. Package
// runtime/metrics would tell it apart, and takes 0.1 ms of each start to be there.
func alive() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

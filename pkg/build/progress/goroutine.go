package progress

import (
	"context"
	"runtime/pprof"
	"unsafe"
)

// Which stage has written a line? buildah has one writer for all stages, and no
// context or name goes with a line. But each stage has a goroutine, which starts
// the others of the stage: those of os/exec that copy what a RUN prints, those
// that pull its base. Goroutines hand their profiler labels down to those they
// start; that is documented, and is the only thing that they hand down. So the
// goroutine that announces a stage gets a label, and whoever writes shows it.
//
// The runtime has no public function to read a goroutine's own labels; this one
// is kept for programs that link to it by name (go.dev/issue/67401). Should it go
// away, pod does not link. The address of the labels is enough: it is unique as long as
// something points to it. A goroutine without known labels has no stage, and its
// lines are printed as they are.
//
//go:linkname ownLabels runtime/pprof.runtime_getProfLabel
func ownLabels() unsafe.Pointer

// mark gives the goroutine, and those it will start, labels of their own.
func mark(name string) unsafe.Pointer {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("stage", name)))
	return ownLabels()
}

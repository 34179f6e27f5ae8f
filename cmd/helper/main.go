// The helper does for pod what the libraries start a program again for: copying and
// unpacking in a chroot. It is what pod is under these names, without the rest, whose
// start takes longer than most of this work. pkg/rootless/nsenter finds it.
package main

import (
	"fmt"
	"os"

	// What these register is all that the program can do.
	_ "go.podman.io/buildah/copier"
	_ "go.podman.io/storage/pkg/chrootarchive"
	"go.podman.io/storage/pkg/reexec"

	"github.com/rootless-pod/pod/internal/heapfloor"
)

// heap is what copying may have, garbage and all: each file that is copied leaves a buffer
// of 32 KiB, and with Go's four megabytes half of the work was collecting them.
const heap = 8 << 20

func main() {
	heapfloor.Set(heap)
	if !reexec.Init() {
		fmt.Fprintln(os.Stderr, "pod's helper: pod starts it")
		os.Exit(2)
	}
}

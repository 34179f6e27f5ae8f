// Quick does the commands that are called most in pod's place. It links less, so that it
// starts in less time; what it cannot do it hands over to pod. pod's constructor
// (pkg/rootless/nsenter) executes it, users do not.
package main

import (
	"fmt"
	"os"
	"syscall"

	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/rootless/nsenter"
)

func main() {
	entry := nsenter.Entry()
	entry.Umask = syscall.Umask(0o022)
	err := rootless.HandOver(entry, os.Args)
	fmt.Fprintln(os.Stderr, "Error:", err)
	os.Exit(125)
}

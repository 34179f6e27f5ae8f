package build

import (
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.podman.io/buildah/define"

	"github.com/rootless-pod/pod/internal/process"
)

// starter is the name of buildah's process between a build and the runtime of a step.
const starter = define.Package + "-oci-runtime"

// killUnstarted ends containers of steps that a runtime has made and nobody can start
// any more: a signal to the whole group, as of Ctrl-C, ended the process that would
// have. They wait without end, and outside of buildah's reach.
func killUnstarted() {
	unstarted := process.FindArguments(func(who process.ID, args []string) bool {
		return isUnstarted(args) && !lookedAfter(who.PID)
	})
	for _, who := range unstarted {
		_ = who.Signal(syscall.SIGKILL) // another user's is not ours to end
	}
}

// isUnstarted says whether a command line is that of a runtime that makes a step's
// container, which is also that of the container until it is started.
func isUnstarted(args []string) bool {
	i := slices.Index(args, "create")
	return i > 0 && i+2 < len(args) && args[i+1] == "--bundle" && strings.HasPrefix(filepath.Base(args[i+2]), define.Package)
}

// lookedAfter says whether a process has an ancestor that may still start it: other
// builds make containers too.
func lookedAfter(pid int) bool {
	for pid = process.Parent(pid); pid > 1; pid = process.Parent(pid) {
		if args := process.Arguments(pid); len(args) > 0 && args[0] == starter {
			return true
		}
	}
	return false
}

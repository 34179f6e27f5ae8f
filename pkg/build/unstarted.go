package build

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
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

// killInside ends what runs on in the layers of a build that is over: a signal to the
// whole group, or the kernel out of memory, ended the process that was to end it right
// after it was started.
func killInside(layers map[string]bool) {
	if len(layers) == 0 {
		return
	}
	inside := process.FindArguments(func(who process.ID, _ []string) bool {
		mounts, err := os.Open(fmt.Sprintf("/proc/%d/mountinfo", who.PID))
		if err != nil {
			return false // it has ended
		}
		defer mounts.Close() //nolint:errcheck // read only
		return layers[rootLayer(mounts)]
	})
	for _, who := range inside {
		_ = who.Signal(syscall.SIGKILL) // it may have ended
	}
}

// rootLayer is the layer whose overlay the root directory is, by a process's
// /proc/PID/mountinfo (proc_pid_mountinfo(5)); empty if it is none. The last mount at a
// place is the one that is seen.
func rootLayer(mounts io.Reader) string {
	roots, err := mountinfo.GetMountsFromReader(mounts, func(m *mountinfo.Info) (skip, stop bool) { return m.Mountpoint != "/", false })
	if err != nil || len(roots) == 0 {
		return ""
	}
	for option := range strings.SplitSeq(roots[len(roots)-1].VFSOptions, ",") {
		if upper, ok := strings.CutPrefix(option, "upperdir="); ok {
			return filepath.Base(filepath.Dir(upper))
		}
	}
	return ""
}

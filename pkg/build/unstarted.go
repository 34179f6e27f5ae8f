package build

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// The identity first: a pid that is recycled now is found out later.
		who, err := process.Of(pid)
		if err != nil || !isUnstarted(arguments(pid)) || lookedAfter(pid) {
			continue
		}
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
	for pid = parent(pid); pid > 1; pid = parent(pid) {
		if args := arguments(pid); len(args) > 0 && args[0] == starter {
			return true
		}
	}
	return false
}

func arguments(pid int) []string {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}

// parent is 0 for a process that has ended.
func parent(pid int) int {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	// The name before may have anything in it.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(fields[1]) // it is a number
	return ppid
}

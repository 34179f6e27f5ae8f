package libpod

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// cgroupRoot is where the unified hierarchy is mounted, by the kernel's
// documentation and, on hybrid machines, by pod's own bind (rootless).
const cgroupRoot = "/sys/fs/cgroup"

// The values of --cgroups beside the default.
const (
	cgroupsDisabled = "disabled"
	cgroupsNoConmon = "no-conmon"
	cgroupsSplit    = "split"
)

// cgroupPlan is how containers get a cgroup here.
type cgroupPlan struct {
	// manager is systemd, cgroupfs or "" for none.
	manager string
	v2      bool
	// controllers are those that limits can use.
	controllers []string
	// delegated is the directory of the cgroup that has these controllers.
	delegated string
	// own is pod's cgroup below cgroupRoot.
	own string
	// shared is the scope below which containers are by default; see scope.go.
	shared string
	// reason says why manager is less than what was configured.
	reason string
}

// cgroupPlan finds the cgroup manager once: systemd where its user instance
// answers, cgroupfs where pod may write, none elsewhere.
func (e *Engine) cgroupPlan() cgroupPlan {
	e.cgroups.Do(func() { e.cgroup = e.planCgroups() })
	return e.cgroup
}

func (e *Engine) planCgroups() cgroupPlan {
	var p cgroupPlan
	if _, err := os.Stat(cgroupRoot + "/cgroup.controllers"); err != nil {
		p.reason = "cgroup v2 is not mounted at " + cgroupRoot
		return p
	}
	p.v2, p.own = true, ownCgroup()
	wanted := e.CgroupManager
	if wanted == "" {
		wanted = e.Config.Engine.CgroupManager
	}
	if wanted == "systemd" {
		if scope, ok := e.systemdScope(); ok {
			p.manager, p.controllers, p.shared, p.delegated = "systemd", readControllers(scope), e.pauseScope(), scope
			return p
		}
		p.reason = "no systemd instance of the user answers"
	}
	dir := filepath.Join(cgroupRoot, p.own)
	if unix.Access(dir, unix.W_OK) == nil && unix.Access(dir+"/cgroup.procs", unix.W_OK) == nil {
		p.manager, p.controllers, p.delegated = "cgroupfs", readSubtree(dir), dir
		return p
	}
	p.reason = "the cgroup " + p.own + " is not delegated to the user: pod doctor --check delegation explains"
	return p
}

// systemdScope returns the cgroup directory whose controllers a transient unit
// can have, if the systemd instance that would make it is there.
func (e *Engine) systemdScope() (string, bool) {
	if !e.Session.Rootless {
		_, err := os.Stat("/run/systemd/system")
		return cgroupRoot, err == nil
	}
	uid := e.Session.HostUID
	if _, err := os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "systemd/private")); err != nil {
		return "", false
	}
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		if _, err := os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus")); err != nil {
			return "", false
		}
	}
	return filepath.Join(cgroupRoot, userManagerCgroup(uid)), true
}

func ownCgroup() string {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "/"
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	return "/"
}

// readControllers lists what a cgroup offers to units below it. On machines
// where the host's tree is elsewhere (a container), the root's list stands in.
func readControllers(dir string) []string {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// readSubtree lists what a child of dir can use: what is enabled already, or can
// be because no process stands in dir.
func readSubtree(dir string) []string {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

// cgroupsPath is the OCI cgroupsPath of a container; empty for none.
func (e *Engine) cgroupsPath(c *state.Container) string {
	plan := e.cgroupPlan()
	switch {
	case c.Spec.Resources.Cgroups == cgroupsSplit:
		return filepath.Join(plan.own, payloadPrefix+c.ID)
	case inPodCgroup(c):
		parent := e.podCgroup(c.Spec.Pod, &c.Spec.Resources)
		if parent == "" {
			return ""
		}
		return filepath.Join(parent, "pod-"+c.ID)
	case plan.manager == "" || c.Spec.Resources.Cgroups == cgroupsDisabled:
		return ""
	case plan.manager == "systemd" && c.Spec.Resources.Cgroups == cgroupsNoConmon:
		// conmon stays where it is, and from there only systemd can move the
		// container to the user's own cgroups: the runtime asks for a scope.
		return e.scopeSlice(c) + ":pod:" + c.ID
	case e.shared(c) != "":
		return filepath.Join(e.shared(c), "pod-"+c.ID)
	case plan.manager == "systemd":
		return filepath.Join(e.scopeCgroup(c.ID, e.scopeSlice(c)), containerCgroup)
	}
	parent := c.Spec.Resources.CgroupParent
	if parent == "" {
		parent = plan.own
	}
	return filepath.Join("/", parent, "pod-"+c.ID)
}

// runtimeManager is the cgroup manager of the OCI runtime: with systemd too it
// only makes directories, in the scope that pod has made.
func (p cgroupPlan) runtimeManager() string {
	if p.manager == "systemd" {
		return ociruntime.CgroupFS
	}
	return p.manager
}

// noSwapLimit says that the kernel has no limit of swap for a cgroup. Only a
// cgroup below the root shows it; without the memory controller it is moot.
func (p cgroupPlan) noSwapLimit() bool {
	if !slices.Contains(p.controllers, "memory") {
		return true
	}
	dir := filepath.Join(cgroupRoot, p.own)
	return !missing(filepath.Join(dir, "memory.max")) && missing(filepath.Join(dir, "memory.swap.max"))
}

// noIOWeight says that the kernel gives block I/O no weight. The cgroup asked is
// one that has the controller io.
func (p cgroupPlan) noIOWeight() bool {
	if !slices.Contains(p.controllers, "io") {
		return true
	}
	dir := p.delegated
	if missing(filepath.Join(dir, "io.stat")) {
		dir = filepath.Join(cgroupRoot, p.own)
	}
	return !missing(filepath.Join(dir, "io.max")) &&
		missing(filepath.Join(dir, "io.weight")) && missing(filepath.Join(dir, "io.bfq.weight"))
}

// blockDevices finds the numbers of block devices; what is none is left out.
func blockDevices(paths []string) map[string]specgen.DeviceNumber {
	numbers := make(map[string]specgen.DeviceNumber, len(paths))
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK {
			numbers[path] = specgen.DeviceNumber{Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev))}
		}
	}
	return numbers
}

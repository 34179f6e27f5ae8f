package doctor

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/internal/shellword"
)

const cgroupRoot = "/sys/fs/cgroup"

// delegateFile is what systemd reads for the managers of all users.
const delegateFile = "/etc/systemd/system/user@.service.d/delegate.conf"

func cgroupChecks() []Check {
	return []Check{
		{"cgroups", "cgroup version 2, alone", checkCgroups},
		{"delegation", "the cgroup controllers that the user may use: memory pids cpu io cpuset", checkDelegation},
	}
}

// layout says how cgroups are mounted: v2, hybrid, v1 or none.
func (h *Host) layout() string {
	switch {
	case h.exists(cgroupRoot + "/cgroup.controllers"):
		return "v2"
	case h.exists(cgroupRoot + "/unified/cgroup.controllers"):
		return "hybrid"
	case h.exists(cgroupRoot+"/memory") || h.exists(cgroupRoot+"/systemd"):
		return "v1"
	}
	return "none"
}

const unifiedRemedy = "boot with systemd.unified_cgroup_hierarchy=1 (kernel command line), or mount cgroup2 alone at /sys/fs/cgroup"

func checkCgroups(ctx context.Context, h *Host) Result {
	switch h.layout() {
	case "v2":
		return ok("version 2")
	case "hybrid":
		r := warn("hybrid: version 1 with an empty version 2").mend(unifiedRemedy)
		if t := h.trial(ctx); t.Err == nil && !t.Hybrid && h.UID != 0 {
			return r.because("version 2 could not be put over it, so crun refuses to work; runc does")
		}
		return r.because("containers run, but limits and pause do not work, and statistics read zero")
	case "v1":
		return warn("version 1").because("an ordinary user has no limits there").mend(unifiedRemedy)
	}
	return warn("not mounted").because("no limits, no statistics").mend("as root: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
}

func controllers() []string { return []string{"memory", "pids", "cpu", "io", "cpuset"} }

func checkDelegation(_ context.Context, h *Host) Result {
	if h.layout() != "v2" {
		return skip("only cgroup version 2 can be delegated: see the check cgroups")
	}
	top := strings.Fields(h.word(cgroupRoot + "/cgroup.controllers"))
	if h.UID == 0 {
		return h.judge("", top, top)
	}
	manager := fmt.Sprintf("/user.slice/user-%d.slice/user@%d.service", h.UID, h.UID)
	where, have := manager, ""
	text, err := h.read(cgroupRoot + manager + "/cgroup.controllers")
	if err == nil {
		have = text
	} else {
		where = h.ownCgroup()
		dir := path.Join(cgroupRoot, where)
		if w := h.Kernel.Writable(dir); w != nil {
			r := warn("the cgroup %s is not delegated to %s", orElse(where, "/"), h.User).
				because("containers get no cgroups of their own: no limits, no pause")
			if h.systemd() {
				return r.mend("log in through systemd (see the check bus); as root for always: loginctl enable-linger %s", h.User).
					asRoot("loginctl enable-linger " + shellword.Quote(h.User))
			}
			return r.mend("as root: make a cgroup, chown it and its cgroup.procs and cgroup.subtree_control to %s, and start the session in it", h.User)
		}
		have = h.word(dir + "/cgroup.controllers")
	}
	return h.judge(where, strings.Fields(have), top)
}

// judge says which controllers are missing, and who withholds them.
func (h *Host) judge(where string, have, top []string) Result {
	var missing, nowhere []string
	for _, c := range controllers() {
		switch {
		case slices.Contains(have, c):
		case slices.Contains(top, c):
			missing = append(missing, c)
		default:
			nowhere = append(nowhere, c)
		}
	}
	found := orElse(strings.Join(have, " "), "no controllers")
	switch {
	case len(missing) == 0 && len(nowhere) == 0:
		return ok("%s", found)
	case len(missing) == 0:
		return warn("%s", found).
			because("this machine has no %s in cgroup version 2, so these limits cannot be set", strings.Join(nowhere, ", ")).
			mend("a kernel with them, not bound to version 1 (%s)", "see /proc/cgroups")
	case !h.systemd():
		return warn("%s", found).because("%s is without %s, so these limits cannot be set", where, strings.Join(missing, ", ")).
			mend("as root: write the names with a + to cgroup.subtree_control of the cgroups above %s", where)
	}
	// Named even if this kernel lacks one: systemd ignores what there is not.
	return warn("%s", found).because("%s is without %s, so these limits cannot be set", where, strings.Join(missing, ", ")).
		asRoot("mkdir -p "+path.Dir(delegateFile),
			`printf '%s\n' '[Service]' 'Delegate=cpu cpuset io memory pids' >`+delegateFile,
			"systemctl daemon-reload").
		mend("as root: write [Service] and Delegate=cpu cpuset io memory pids to %s, systemctl daemon-reload, and log in again", delegateFile)
}

// ownCgroup is this process's path in the v2 tree.
func (h *Host) ownCgroup() string {
	text, err := h.read("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if p, found := strings.CutPrefix(line, "0::"); found {
			return strings.TrimSpace(p)
		}
	}
	return ""
}

// errOf keeps the words of the kernel.
func errOf(err error) string {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

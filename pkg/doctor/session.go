package doctor

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rootless-pod/pod/internal/shellword"
)

func sessionChecks() []Check {
	return []Check{
		{"rundir", "XDG_RUNTIME_DIR: missing, another's, open to others, not a tmpfs", checkRunDir},
		{"bus", "the user's systemd and its bus", checkBus},
		{"linger", "containers outlive the logout", checkLinger},
		{"clock", "boot id and clock", checkClock},
	}
}

func checkRunDir(_ context.Context, h *Host) Result {
	if h.UID == 0 {
		return ok("/run")
	}
	login := fmt.Sprintf("/run/user/%d", h.UID)
	set := h.Env("XDG_RUNTIME_DIR")
	dir, problem := set, ""
	if set == "" {
		dir = login
	}
	st, err := h.Kernel.Stat(dir)
	switch {
	case err != nil:
		problem = dir + " is missing"
	case !st.isDir():
		problem = dir + " is not a directory"
	case st.UID != h.UID:
		problem = fmt.Sprintf("%s belongs to uid %d", dir, st.UID)
	case st.Mode&0o077 != 0:
		return warn("%s is open to others (mode %04o)", dir, st.Mode&0o7777).
			because("other users could disturb containers").asUser("chmod 700 " + shellword.Quote(dir))
	}
	if problem == "" {
		if info, err := h.Kernel.Statfs(dir); err == nil && info.Type != "tmpfs" {
			return warn("%s is on %s", dir, info.Type).because("what should end with the boot outlives it, and is slower").
				mend("use a directory on a tmpfs, as systemd-logind and elogind make one")
		}
		if set == "" {
			return ok("%s (XDG_RUNTIME_DIR is not set)", dir)
		}
		return ok("%s", dir)
	}
	if set != "" {
		problem = "XDG_RUNTIME_DIR " + problem
		if st, err := h.Kernel.Stat(login); err == nil && st.isDir() && st.UID == h.UID {
			return warn("%s", problem).because("%s is used instead", login).mend("unset XDG_RUNTIME_DIR, or set it to %s", login)
		}
	}
	return h.fallbackRunDir(problem)
}

// fallbackRunDir judges the directory in /tmp, which pod makes when there is no
// other.
func (h *Host) fallbackRunDir(problem string) Result {
	dir := fmt.Sprintf("/tmp/pod-run-%d", h.UID)
	st, err := h.Kernel.Stat(dir)
	login := "set XDG_RUNTIME_DIR to a private directory on a tmpfs"
	if h.systemd() {
		login = "log in through systemd (ssh, or machinectl shell " + h.User + "@; not su or sudo), or " + login
	}
	switch {
	case err != nil:
		if w := h.Kernel.Writable("/tmp"); w != nil {
			return fail("%s, and /tmp cannot be written to", problem).because("there is no place for what ends with the boot: %v", w).mend("%s", login)
		}
	case !st.isDir() || st.UID != h.UID:
		return fail("%s, and %s is not a directory of %s", problem, dir, h.User).
			because("somebody else made it; pod does not use it").mend("as root: rm -r %s; or %s", dir, login).asRoot("rm -rf " + shellword.Quote(dir))
	case st.Mode&0o077 != 0:
		return fail("%s, and %s is open to others (mode %04o)", problem, dir, st.Mode&0o7777).
			because("pod does not use it like that").asUser("chmod 700 " + shellword.Quote(dir))
	}
	return warn("%s", problem).because("%s is used, and containers started in a login session are not seen from here", dir).mend("%s", login)
}

func checkBus(_ context.Context, h *Host) Result {
	switch {
	case !h.systemd():
		return skip("the machine does not run systemd")
	case h.UID == 0:
		return skip("root uses the system's")
	}
	base := orElse(h.RunBase, fmt.Sprintf("/run/user/%d", h.UID))
	err := h.Kernel.Connect(filepath.Join(base, "systemd", "private"))
	busErr := h.Kernel.Connect(filepath.Join(base, "bus"))
	switch {
	case err == nil && busErr == nil:
		return ok("the user's systemd answers, and its bus")
	case err == nil:
		return warn("the user's systemd answers, but not its bus").because("%v", busErr).
			mend("install dbus-user-session, then: systemctl --user start dbus.socket").
			asRoot("install_package dbus-user-session dbus-daemon dbus")
	}
	return warn("no systemd of the user").
		because("without it containers get no cgroups of their own, so no limits, and end with the session").
		mend("log in through systemd (ssh, or machinectl shell %s@), not by su or sudo; with linger it is always there", h.User)
}

func checkLinger(_ context.Context, h *Host) Result {
	switch {
	case h.UID == 0:
		return skip("does not concern root")
	case !h.systemd():
		return skip("without systemd nothing ends at logout")
	case h.User == "" || h.User != filepath.Base(h.User):
		return skip("the user has no name")
	case h.exists("/var/lib/systemd/linger/" + h.User):
		return ok("enabled for %s", h.User)
	}
	return warn("not enabled for %s", h.User).
		because("containers end when %s logs out for the last time, and none start at boot", h.User).
		asUser("loginctl enable-linger " + shellword.Quote(h.User))
}

func checkClock(_ context.Context, h *Host) Result {
	boot := h.word("/proc/sys/kernel/random/boot_id")
	now := h.Kernel.Now()
	switch {
	case boot == "":
		return fail("no boot id").because("/proc/sys/kernel/random/boot_id cannot be read, so pod cannot tell what is of this boot").
			mend("mount /proc as it should be")
	case !h.Built.IsZero() && now.Before(h.Built.Add(-24*time.Hour)):
		return warn("the clock says %s", now.UTC().Format(time.DateOnly)).
			because("that is before pod was built: certificates of registries will not be valid").
			mend("as root: timedatectl set-ntp true, or date -s").asRoot("timedatectl set-ntp true")
	}
	if st, err := h.Kernel.Stat(filepath.Join(h.GraphRoot, "pod", "state.db")); h.GraphRoot != "" && err == nil && st.ModTime.After(now.Add(time.Hour)) {
		return warn("the clock went back").because("the store was written at %s, in the future", st.ModTime.UTC().Format(time.DateTime)).
			mend("set the clock; ages of containers are wrong until then")
	}
	return ok("boot %.8s", boot)
}

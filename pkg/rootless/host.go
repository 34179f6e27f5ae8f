package rootless

import (
	"os"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// HybridCgroup returns where cgroup v2 is mounted, "" if nowhere, and whether
// the layout is hybrid: v1 controllers with an almost empty v2 beside them. In
// pod's own mount namespace v2 is bound over it and the answer is no;
// Session.HybridCgroup remembers.
func HybridCgroup() (unified string, hybrid bool) {
	if isCgroup2(cgroupRoot) {
		return cgroupRoot, false
	}
	if dir := cgroupRoot + "/unified"; isCgroup2(dir) {
		return dir, true
	}
	return "", false
}

func isCgroup2(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// systemdRuns reports whether systemd is the machine's init, as sd_booted does.
func systemdRuns() bool {
	st, err := os.Lstat("/run/systemd/system")
	return err == nil && st.IsDir()
}

// hasSysAdmin reports whether the process may mount: root in a container often
// may not, and is then served like any user.
func hasSysAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

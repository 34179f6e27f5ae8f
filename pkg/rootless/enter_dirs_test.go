package rootless_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNoRuntimeDir(t *testing.T) {
	h := newHost(t)
	dir := "/tmp/pod-run-" + strconv.Itoa(uidRich) // the tests' own /tmp
	t.Cleanup(func() { endPause(dir); os.RemoveAll(dir) })
	foreign := h.runDir(t, uidBare, 0o755)
	var first uint64
	for _, xdg := range []string{"", foreign, "relative/path", "/does/not/exist"} {
		r := h.run(t, call{uid: uidRich, xdg: xdg})
		if r.Error != "" || r.Session.RunBase != dir || r.RuntimeDir != dir {
			t.Fatalf("XDG_RUNTIME_DIR=%q: %+v", xdg, r)
		}
		if !strings.Contains(strings.Join(r.Session.Reduced, "\n"), dir) {
			t.Errorf("reduced %q does not name %s", r.Session.Reduced, dir)
		}
		if first == 0 {
			first = r.User
		}
		if r.User != first {
			t.Errorf("XDG_RUNTIME_DIR=%q: another namespace", xdg)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestForeignRunDirIsRefused(t *testing.T) {
	h := newHost(t)
	dir := "/tmp/pod-run-" + strconv.Itoa(uidBare)
	tests := []struct {
		name, want string
		mode       os.FileMode
		owner      int
	}{
		{"another user's", "belongs to uid 54321", 0o700, uidRich},
		{"open to others", "mode 0777", 0o777, uidBare},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, tt.mode), os.Chown(dir, tt.owner, tt.owner)); err != nil {
				t.Fatal(err)
			}
			r := h.run(t, call{uid: uidBare})
			if !strings.Contains(r.Error, tt.want) || !strings.Contains(r.Error, dir) || strings.Contains(r.Error, "\n") {
				t.Errorf("error %q, want %q", r.Error, tt.want)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("something was put there: %v, %v", entries, err)
			}
		})
	}
}

func TestMigrate(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	first := h.run(t, call{uid: uidRich, xdg: dir})
	pause, _ := recorded(dir)
	if r := h.run(t, call{uid: uidRich, xdg: dir, args: []string{"migrate"}}); r.Error != "" {
		t.Fatal(r.Error)
	}
	if pause.Alive() {
		t.Error("the pause process runs on")
	}
	if _, err := os.Stat(filepath.Join(dir, "pod/namespaces")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("identity file: %v", err)
	}
	if r := h.run(t, call{uid: uidRich, xdg: dir}); r.Error != "" || r.Mnt == first.Mnt && r.User == first.User {
		t.Errorf("%+v", r)
	}
}

func TestExec(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	base := call{uid: uidRich, xdg: dir}
	tests := []struct {
		name string
		args []string
		out  string
		code int
	}{
		{"inside", []string{"id", "-u"}, "0", 0},
		{"exit code", []string{"sh", "-c", "exit 7"}, "", 7},
		{"environment", []string{"sh", "-c", "echo $_CONTAINERS_ROOTLESS_UID $_POD_REEXEC."}, "54321 .", 0},
		{"nested command is inside", []string{h.probe, "exec", "sh", "-c", "cat /proc/self/uid_map | wc -l"}, "2", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := base
			c.args = append([]string{"exec"}, tt.args...)
			cmd := h.command(t, c)
			out, err := cmd.Output()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(string(out)); got != tt.out || cmd.ProcessState.ExitCode() != tt.code {
				t.Errorf("output %q code %d, want %q %d", got, cmd.ProcessState.ExitCode(), tt.out, tt.code)
			}
		})
	}
}

// TestFalseClaim: the environment of a command may come from anywhere.
func TestFalseClaim(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	claim := []string{"_CONTAINERS_USERNS_CONFIGURED=done", "_CONTAINERS_ROOTLESS_UID=0", "_CONTAINERS_ROOTLESS_GID=0"}
	if r := h.run(t, call{uid: uidRich, xdg: dir, env: claim}); r.Error != "" || r.Session.HostUID != uidRich || r.EUID != 0 {
		t.Errorf("a user outside: %+v", r)
	}
	r := h.run(t, call{env: append(claim, "_POD_REEXEC=1"), args: []string{"help"}})
	if r.Entry.UserNS || r.Configured != "" {
		t.Errorf("real root: %+v, environment %q", r.Entry, r.Configured)
	}
}

func TestHybridCgroup(t *testing.T) {
	h := newHost(t)
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup/unified", &st); err != nil || st.Type != unix.CGROUP2_SUPER_MAGIC {
		t.Skip("skipped: this machine's cgroups are not in hybrid mode")
	}
	dir := h.runDir(t, uidRich, 0o700)
	for range 2 { // made, joined
		r := h.run(t, call{uid: uidRich, xdg: dir})
		if !r.CgroupV2 || !r.Session.HybridCgroup || !strings.Contains(strings.Join(r.Session.Reduced, "\n"), "hybrid") {
			t.Errorf("v2 %v, session %+v", r.CgroupV2, r.Session)
		}
	}
	if err := unix.Statfs("/sys/fs/cgroup", &st); err != nil || st.Type == unix.CGROUP2_SUPER_MAGIC {
		t.Error("the bind got out of the namespace")
	}
}

// ownRun puts an empty /run in place, because root's is fixed.
func ownRun(t *testing.T) {
	t.Helper()
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endPause("/run"); _ = unix.Unmount("/run", unix.MNT_DETACH) })
}

func TestRootOnHybridCgroups(t *testing.T) {
	h := newHost(t)
	if unix.Access("/sys/fs/cgroup/unified/cgroup.procs", unix.F_OK) != nil {
		t.Skip("skipped: this machine's cgroups are not in hybrid mode")
	}
	ownRun(t)
	first := h.run(t, call{})
	second := h.run(t, call{})
	for _, r := range []report{first, second} {
		if r.Error != "" || r.Session.Rootless || !r.Session.HybridCgroup || !r.CgroupV2 || r.Configured != "" {
			t.Errorf("%+v", r)
		}
	}
	if first.Mnt != second.Mnt || first.Mnt == inode(t, "/proc/self/ns/mnt") || first.User != inode(t, "/proc/self/ns/user") {
		t.Errorf("mount namespaces %d and %d, user %d", first.Mnt, second.Mnt, first.User)
	}
	// What pod starts is there already and must not join once more.
	out, err := h.command(t, call{args: []string{"exec", h.probe, "exec", "stat", "-fc", "%T", "/sys/fs/cgroup"}}).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "cgroup2fs" {
		t.Errorf("nested: %q, %v", out, err)
	}
}

func TestRootOnPureCgroup2(t *testing.T) {
	h := newHost(t)
	ownRun(t)
	if unix.Access("/sys/fs/cgroup/unified/cgroup.procs", unix.F_OK) == nil {
		if err := unix.Mount("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH) })
	}
	r := h.run(t, call{})
	if r.Error != "" || r.Session.Rootless || r.Session.Inside || r.Mnt != inode(t, "/proc/self/ns/mnt") || len(r.Session.Reduced) != 0 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat("/run/pod"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}

// TestRootWithoutRights: root in a container gets a user namespace like anybody.
func TestRootWithoutRights(t *testing.T) {
	h := newHost(t)
	ownRun(t)
	c := call{}
	cmd := h.command(t, c)
	cmd.Path, cmd.Args = "/usr/bin/setpriv", append([]string{"setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"}, cmd.Args...)
	cmd.Args[3] = h.probe
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"Rootless":true`) || !strings.Contains(string(out), `"SingleID":false`) {
		t.Errorf("%s, %v", out, err)
	}
}

// TestCleanupYields: conmon's exit command ends before Go while somebody waits.
func TestCleanupYields(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	path := filepath.Join(dir, "wait")
	file, err := os.Create(path) //nolint:forbidigo // a test's own file
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := os.Chown(path, uidRich, uidRich); err != nil {
		t.Fatal(err)
	}
	output := func() string {
		out, err := h.command(t, call{uid: uidRich, xdg: dir, args: []string{"__cleanup", path, "id"}}).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil { //nolint:gosec // a descriptor fits
		t.Fatal(err)
	}
	if out := output(); out != "" {
		t.Errorf("with a waiter it ran: %s", out)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_UN); err != nil { //nolint:gosec // a descriptor fits
		t.Fatal(err)
	}
	if out := output(); !strings.Contains(out, `"Inside":true`) {
		t.Errorf("without a waiter it did not run: %s", out)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if out := output(); out == "" {
		t.Error("without a lock file it did not run")
	}
}

// TestPauseByHand: the hidden command does nothing without its parent, and a
// parent that goes away takes an unfinished pause process with it.
func TestPauseByHand(t *testing.T) {
	h := newHost(t)
	cmd := h.command(t, call{uid: uidRich, args: []string{"__pause", "user", ""}})
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 125 {
		t.Errorf("code %d, %s", cmd.ProcessState.ExitCode(), out)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	cmd = h.command(t, call{uid: uidRich, args: []string{"__pause", "user", ""}})
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	line, err := bufio.NewReader(ours).ReadString('\n')
	pid, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "unshared ")))
	if err != nil || pid == 0 {
		t.Fatalf("it says %q, %v", line, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ours.Close()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000)
	if n != 1 {
		t.Errorf("it lives on without a parent: %d, %v", n, err)
		_ = unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0)
	}
}

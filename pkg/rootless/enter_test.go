package rootless_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/rootless"
)

// Two users who exist only in the tests' mount namespace, one with sub-ids.
const (
	uidRich, uidBare = 54321, 54322
	passwd           = "root:x:0:0::/root:/bin/sh\npodrich:x:54321:54321::/:/bin/sh\npodbare:x:54322:54322::/:/bin/sh\n"
	subid            = "podrich:700000:65536\n"
)

// TestMain gives the tests a mount namespace of their own, where they may
// replace /etc/passwd, /run and /sys/fs/cgroup without touching the machine.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 || os.Getenv("POD_TEST_INNER") != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("/tmp", "podprobe")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // lives as long as the tests
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "POD_TEST_INNER="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	err = cmd.Run()
	os.RemoveAll(dir)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "no mount namespace, tests of entering are skipped:", err)
		os.Exit(m.Run())
	}
}

// report is what the probe prints.
type report struct {
	Entry      rootless.Entry
	Session    *rootless.Session
	User, Mnt  uint64
	EUID, EGID int
	Dir        string
	Args       []string
	RuntimeDir string
	Configured string
	CgroupV2   bool
	Dumpable   int
	Error      string
	stderr     string
}

// host is a small machine: the probe, a directory for run directories.
type host struct {
	probe, dir string
}

// newHost builds the probe once and makes the tests' users known.
func newHost(t *testing.T) *host {
	t.Helper()
	if os.Getenv("POD_TEST_INNER") == "" {
		t.Skip("skipped: must run as root to switch users")
	}
	h := shared()
	if h.err != nil {
		t.Fatal(h.err)
	}
	dir, err := os.MkdirTemp("/tmp", "podrun") //nolint:usetesting // other users go in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return &host{probe: h.probe, dir: dir}
}

type built struct {
	probe string
	err   error
}

// shared is done once for all tests: the build takes seconds.
var shared = sync.OnceValue(func() built {
	dir := os.Getenv("POD_TEST_INNER") // made, and removed, by TestMain's outer half
	probe := filepath.Join(dir, "probe")
	out, err := exec.Command("go", "build", "-o", probe, "./nsenter/testdata/probe").CombinedOutput() //nolint:noctx // a build
	if err != nil {
		return built{err: fmt.Errorf("build probe: %w: %s", err, out)}
	}
	if err := errors.Join(os.Chmod(dir, 0o755), bindText(dir, "passwd", passwd, "/etc/passwd"),
		bindText(dir, "subuid", subid, "/etc/subuid"), bindText(dir, "subgid", subid, "/etc/subgid")); err != nil {
		return built{err: err}
	}
	// A tmpfs over /tmp, which ends with the tests' mount namespace, and the probe in it.
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return built{err: fmt.Errorf("keep probe: %w", err)}
	}
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"); err != nil {
		return built{err: fmt.Errorf("mount /tmp: %w", err)}
	}
	if err := os.Mkdir("/tmp/probe", 0o755); err != nil {
		return built{err: err}
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, "/tmp/probe", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return built{err: fmt.Errorf("keep probe: %w", err)}
	}
	return built{probe: "/tmp/probe/probe"}
})

func bindText(dir, name, text, over string) error {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // users must read it
		return err
	}
	return unix.Mount(path, over, "", unix.MS_BIND, "")
}

// call is one run of the probe.
type call struct {
	uid  int
	xdg  string // "" for none
	dir  string // "" for /
	path string // "" for the usual PATH
	env  []string
	args []string
}

// runDir makes a run directory for a user and sees that no pause process is left.
func (h *host) runDir(t *testing.T, uid int, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp(h.dir, "x") //nolint:usetesting // other users go in
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, mode), os.Chown(dir, uid, uid)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endPause(dir) })
	return dir
}

// recorded reads who the pause process is.
func recorded(base string) (process.ID, bool) {
	b, err := os.ReadFile(filepath.Join(base, "pod/namespaces"))
	if err != nil {
		return process.ID{}, false
	}
	var id process.ID
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		n, _ := strconv.ParseUint(value, 10, 64)
		switch key {
		case "pid":
			id.PID = int(n)
		case "start":
			id.Start = n
		}
	}
	return id, id.Alive()
}

// endPause ends a pause process made by a test, and only one.
func endPause(base string) {
	id, alive := recorded(base)
	name, _ := os.ReadFile("/proc/" + strconv.Itoa(id.PID) + "/comm")
	if alive && strings.TrimSpace(string(name)) == "pod pause" {
		_ = id.Signal(syscall.SIGTERM)
	}
}

func (h *host) command(t *testing.T, c call) *exec.Cmd {
	t.Helper()
	if len(c.args) == 0 {
		c.args = []string{"ps"}
	}
	if c.path == "" {
		c.path = "/usr/bin:/bin"
	}
	cmd := exec.CommandContext(t.Context(), h.probe, c.args...)
	cmd.Env = append([]string{"PATH=" + c.path}, c.env...)
	if c.xdg != "" {
		cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+c.xdg)
	}
	if cmd.Dir = c.dir; c.dir == "" {
		cmd.Dir = "/"
	}
	if c.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}} //nolint:gosec // a constant
	}
	return cmd
}

// run runs the probe and returns its report; it may have failed with r.Error.
func (h *host) run(t *testing.T, c call) report {
	t.Helper()
	r, err := h.try(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// try is run for goroutines.
func (h *host) try(t *testing.T, c call) (report, error) {
	t.Helper()
	cmd := h.command(t, c)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	r := report{stderr: stderr.String()}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return r, fmt.Errorf("probe: %w, output %q %q", errors.Join(runErr, err), &stdout, &stderr)
	}
	return r, nil
}

func TestCreateAndJoin(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	c := call{uid: uidRich, xdg: dir, args: []string{"ps", "two words", ""}}
	first := h.run(t, c)
	if first.Error != "" {
		t.Fatal(first.Error)
	}
	want := []rootless.Mapping{{0, uidRich, 1}, {1, 700000, 65536}}
	s := first.Session
	if fmt.Sprint(s.UIDMap) != fmt.Sprint(want) || fmt.Sprint(s.GIDMap) != fmt.Sprint(want) || s.SingleID {
		t.Errorf("maps %v %v, want %v", s.UIDMap, s.GIDMap, want)
	}
	if first.EUID != 0 || first.EGID != 0 || s.HostUID != uidRich || s.HostGID != uidRich || !s.Rootless || !s.Inside {
		t.Errorf("ids %d:%d, session %+v", first.EUID, first.EGID, s)
	}
	if s.RunBase != dir || first.RuntimeDir != dir || first.Configured != "done" || first.Dumpable != 1 {
		t.Errorf("run base %q, environment %q %q, dumpable %d", s.RunBase, first.RuntimeDir, first.Configured, first.Dumpable)
	}
	if strings.Join(first.Args[1:], "|") != "ps|two words|" {
		t.Errorf("arguments became %q", first.Args)
	}
	second := h.run(t, c)
	if second.User != first.User || second.Mnt != first.Mnt || second.stderr != "" {
		t.Errorf("the second command is in %d/%d, the first in %d/%d; it says %q", second.User, second.Mnt, first.User, first.Mnt, second.stderr)
	}
	if own := inode(t, "/proc/self/ns/user"); first.User == own {
		t.Error("still in the user namespace of the host")
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestPauseProcess(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	h.run(t, call{uid: uidRich, xdg: dir})
	id, alive := recorded(dir)
	if !alive {
		t.Fatal("no pause process")
	}
	proc := "/proc/" + strconv.Itoa(id.PID)
	// It closes them right after the last word that is said to it.
	for begin := time.Now(); ; {
		fds, err := os.ReadDir(proc + "/fd")
		if err != nil || len(fds) != 0 && time.Since(begin) > 10*time.Second {
			t.Fatalf("it holds descriptors %v, %v", fds, err)
		}
		if len(fds) == 0 {
			break
		}
	}
	if tasks, err := os.ReadDir(proc + "/task"); err != nil || len(tasks) != 1 {
		t.Errorf("it has %d threads, %v: Go runs in it", len(tasks), err)
	}
	if cwd, err := os.Readlink(proc + "/cwd"); err != nil || cwd != "/" {
		t.Errorf("it is in %q, %v", cwd, err)
	}
	stat, err := os.ReadFile(proc + "/stat")
	if f := strings.Fields(string(stat)); err != nil || f[6] != strconv.Itoa(id.PID) { // "(pod pause)" is two fields
		t.Errorf("it leads no session: %s, %v", stat, err)
	}
	if err := id.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := id.Wait(t.Context()); err != nil {
		t.Errorf("SIGTERM does not end it: %v", err)
	}
}

func TestKilledPauseIsMadeAgain(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	c := call{uid: uidRich, xdg: dir}
	h.run(t, c)
	old, _ := recorded(dir)
	if err := errors.Join(old.Signal(syscall.SIGKILL), old.Wait(t.Context())); err != nil {
		t.Fatal(err)
	}
	if r := h.run(t, c); r.Error != "" || len(r.Session.UIDMap) != 2 {
		t.Errorf("%+v", r)
	}
	if id, alive := recorded(dir); !alive || id == old {
		t.Errorf("pause process %+v, alive %v", id, alive)
	}
}

// forge writes an identity which names process id in the namespaces of proc.
func forge(t *testing.T, base string, id process.ID, user, mnt uint64, boot string) {
	t.Helper()
	text := fmt.Sprintf("pod-namespaces 1\nkind=user\npid=%d\nstart=%d\nboot=%s\nuser=%d\nmnt=%d\nhybrid=0\n", id.PID, id.Start, boot, user, mnt)
	path := filepath.Join(base, "pod/namespaces")
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chown(path, uidRich, uidRich)); err != nil {
		t.Fatal(err)
	}
}

func TestForgedIdentityIsRefused(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	c := call{uid: uidRich, xdg: dir}
	first := h.run(t, c)
	pause, _ := recorded(dir)
	t.Cleanup(func() { _ = pause.Signal(syscall.SIGTERM) }) // the tests below forget it
	boot, err := process.BootID()
	if err != nil {
		t.Fatal(err)
	}
	// A process of the same user in a namespace of its own, as a container is.
	other := exec.CommandContext(t.Context(), "unshare", "-Urm", "cat")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uidRich, Gid: uidRich}}
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = other.Wait() })
	alien, err := process.Of(other.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name      string
		id        process.ID
		user, mnt uint64
		boot      string
	}{
		{"pid recycled by another process", process.ID{PID: alien.PID, Start: pause.Start}, first.User, first.Mnt, boot},
		{"another process in other namespaces", alien, first.User, first.Mnt, boot},
		{"another user's process", process.Self(), inode(t, "/proc/self/ns/user"), inode(t, "/proc/self/ns/mnt"), boot},
		{"start time of another", process.ID{PID: pause.PID, Start: pause.Start + 1}, first.User, first.Mnt, boot},
		{"other user namespace", pause, first.User + 1, first.Mnt, boot},
		{"other mount namespace", pause, first.User, first.Mnt + 1, boot},
		{"earlier boot", pause, first.User, first.Mnt, "00000000-0000-0000-0000-000000000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			forge(t, dir, tt.id, tt.user, tt.mnt, tt.boot)
			if r := h.run(t, call{uid: uidRich, xdg: dir, args: []string{"help"}, env: []string{"_POD_REEXEC=1"}}); r.Entry.Inside || r.Entry.Why == "" {
				t.Errorf("joined: %+v", r.Entry)
			}
			r := h.run(t, c)
			if r.Error != "" || r.User == first.User {
				t.Errorf("not made anew: %+v", r)
			}
			if !pause.Alive() || !alien.Alive() {
				t.Error("a process which only the forged file named was ended")
			}
			endPause(dir)
		})
	}
	t.Run("written by another user", func(t *testing.T) {
		forge(t, dir, pause, first.User, first.Mnt, boot)
		if err := os.Chown(filepath.Join(dir, "pod/namespaces"), uidBare, uidBare); err != nil {
			t.Fatal(err)
		}
		if r := h.run(t, call{uid: uidRich, xdg: dir, args: []string{"help"}, env: []string{"_POD_REEXEC=1"}}); r.Entry.Inside {
			t.Error("joined")
		}
	})
}

func TestSingleID(t *testing.T) {
	h := newHost(t)
	nosetuid := filepath.Join(h.dir, "bin")
	if err := os.Mkdir(nosetuid, 0o755); err != nil { //nolint:gosec // users must read it
		t.Fatal(err)
	}
	for _, name := range []string{"newuidmap", "newgidmap"} {
		b, err := os.ReadFile("/usr/bin/" + name)
		if err != nil {
			t.Skip("skipped: uidmap is not installed")
		}
		if err := os.WriteFile(filepath.Join(nosetuid, name), b, 0o755); err != nil { //nolint:gosec // users must run it
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, path, want string
		uid              int
	}{
		{"no sub-ids", "", "usermod --add-subuids 765536-831071 --add-subgids 765536-831071 podbare", uidBare},
		{"no newuidmap", "/nowhere", "apt install uidmap", uidRich},
		{"newuidmap lost its setuid bit", nosetuid, "chmod u+s " + nosetuid + "/newuidmap", uidRich},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := h.runDir(t, tt.uid, 0o700)
			c := call{uid: tt.uid, xdg: dir, path: tt.path}
			r := h.run(t, c)
			if r.Error != "" || r.EUID != 0 || !r.Session.SingleID || fmt.Sprint(r.Session.UIDMap) != fmt.Sprintf("[{0 %d 1}]", tt.uid) {
				t.Fatalf("%+v", r)
			}
			if strings.Count(r.stderr, tt.want) != 1 || !strings.Contains(strings.Join(r.Session.Reduced, "\n"), tt.want) {
				t.Errorf("warned %q, reduced %q, want %q in both", r.stderr, r.Session.Reduced, tt.want)
			}
			if r := h.run(t, c); r.stderr != "" || !strings.Contains(strings.Join(r.Session.Reduced, "\n"), tt.want) {
				t.Errorf("the second command warned %q, reduced %q", r.stderr, r.Session.Reduced)
			}
		})
	}
}

func TestDirectoryIsKept(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	c := call{uid: uidRich, xdg: dir, dir: dir}
	for range 2 {
		if r := h.run(t, c); r.Dir != dir {
			t.Errorf("in %q, want %q", r.Dir, dir)
		}
	}
	// A directory mounted after the namespace was made still arrives, if the host
	// shares its mounts; this one does not, so the descriptor must serve.
	late := filepath.Join(dir, "late")
	if err := errors.Join(os.Mkdir(late, 0o755), unix.Mount("tmpfs", late, "tmpfs", 0, "mode=755")); err != nil { //nolint:gosec // users must enter it
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(late, unix.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(late, "mark"), nil, 0o644); err != nil { //nolint:gosec // users must read it
		t.Fatal(err)
	}
	c.dir, c.args = late, []string{"exec", "ls"}
	if out, err := h.command(t, c).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "mark" {
		t.Errorf("ls: %q, %v", out, err)
	}
	closed := filepath.Join(h.dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	// As after su from root's home: the directory is there, but not for the user.
	cmd := h.command(t, call{uid: uidRich, xdg: dir})
	cmd.SysProcAttr = nil
	cmd.Path, cmd.Args = "/usr/bin/setpriv", []string{"setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", h.probe, "ps"}
	cmd.Dir = closed
	out, err := cmd.Output()
	var r report
	if err := errors.Join(err, json.Unmarshal(out, &r)); err != nil || r.Dir != "/" || r.Entry.LostDir != closed {
		t.Errorf("in %q, lost %q, %v", r.Dir, r.Entry.LostDir, err)
	}
}

func TestHelpStaysOutside(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	h.run(t, call{uid: uidRich, xdg: dir})
	if r := h.run(t, call{uid: uidRich, xdg: dir, args: []string{"help"}}); r.Entry.Inside || r.EUID != uidRich {
		t.Errorf("%+v", r)
	}
	// The table of commands may be wrong: what Enter is asked for, it does.
	if r := h.run(t, call{uid: uidRich, xdg: dir, args: []string{"--log-level", "help"}}); r.Error != "" || !r.Entry.Inside {
		t.Errorf("%+v", r)
	}
}

func TestConcurrentFirstCommands(t *testing.T) {
	h := newHost(t)
	dir := h.runDir(t, uidRich, 0o700)
	var all sync.WaitGroup
	reports, errs := make([]report, 16), make([]error, 16)
	for i := range reports {
		all.Go(func() { reports[i], errs[i] = h.try(t, call{uid: uidRich, xdg: dir}) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, r := range reports {
		if r.Error != "" || r.User != reports[0].User || r.Mnt != reports[0].Mnt {
			t.Errorf("command %d: %q, namespaces %d/%d, the first has %d/%d", i, r.Error, r.User, r.Mnt, reports[0].User, reports[0].Mnt)
		}
	}
}

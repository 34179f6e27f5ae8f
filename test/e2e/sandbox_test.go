package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func setUmask() { syscall.Umask(0o022) }

// sandbox is what a script has for itself.
type sandbox struct {
	t       *testing.T
	env     []string
	base    string // on a real disk: home, graph root
	runRoot string
	// registry is set by the registry command.
	registry http.Handler
	gate     gate
	wicked   *sync.Map // path: answer, of the wicked command
	canary   string    // how $CANARY was when it was made
	// ids are containers that walk has seen.
	ids map[string]bool
}

type sandboxKey struct{}

// setup gives the script its home, store and run directory, and arranges that
// they are checked and deleted in the end.
func setup(t *testing.T, env *testscript.Env) error {
	t.Helper()
	base, err := os.MkdirTemp("/var/tmp", "e2e.") //nolint:usetesting // must be short and on a real disk; tearDown removes it
	if err != nil {
		return err
	}
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		run = os.TempDir()
	}
	// Short, because sockets lie below it; named like base, to find both by one word.
	runRoot := filepath.Join(run, filepath.Base(base))
	home := filepath.Join(base, "home")
	config := filepath.Join(home, ".config", "containers")
	for _, dir := range []string{config, filepath.Join(base, "root"), runRoot} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	storage := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n",
		filepath.Join(base, "root"), runRoot)
	files := map[string]string{
		filepath.Join(base, "storage.conf"): storage,
		// For podman: the test host may lack the pids controller, which it insists on.
		filepath.Join(base, "podman.conf"): "[containers]\npids_limit = 0\n",
		// There already, because Debian's buildah refuses to name one that is not.
		filepath.Join(config, "auth.json"): "{}\n",
	}
	for file, content := range files {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "USER", "LOGNAME"} {
		if value, ok := os.LookupEnv(name); ok {
			env.Setenv(name, value)
		}
	}
	env.Setenv("HOME", home)
	env.Setenv("BASE", base)
	env.Setenv("RUNROOT", runRoot)
	env.Setenv("LANG", "C.UTF-8")
	env.Setenv("BOX", boxArchive)
	if probe, err := os.Executable(); err == nil {
		env.Setenv("PROBE", probe)
	}
	env.Setenv("IMAGES", imagesDir)
	env.Setenv("CONTAINERS_STORAGE_CONF", filepath.Join(base, "storage.conf"))
	env.Setenv("REGISTRY_AUTH_FILE", filepath.Join(config, "auth.json"))

	box := &sandbox{t: t, env: append([]string(nil), env.Vars...), base: base, runRoot: runRoot}
	env.Values[sandboxKey{}] = box
	// A child that keeps the script's output open outlives its deadline, and would take all
	// scripts with it.
	watchdog := time.AfterFunc(*timeout+30*time.Second, box.endStuck)
	env.Defer(func() { watchdog.Stop(); box.tearDown() })
	return nil
}

func boxOf(ts *testscript.TestScript) *sandbox {
	box, _ := ts.Value(sandboxKey{}).(*sandbox)
	return box
}

// command runs a program in the script's original environment.
func (b *sandbox) command(name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = b.env
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second // a child that keeps our pipe is no reason to hang
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, err
}

// inside runs a program where pod's mounts are: real root has no namespaces.
func (b *sandbox) inside(args ...string) ([]byte, error) {
	if os.Geteuid() != 0 {
		args = append([]string{"pod", "unshare"}, args...)
	}
	return b.command(args[0], args[1:]...)
}

func (b *sandbox) tearDown() {
	t := b.t
	if _, err := b.command("pod", "rm", "--all", "--force", "--time", "0"); err != nil {
		t.Error(err)
	}
	if err := b.awaitClean(); err != nil {
		t.Error(err)
		b.killLeft()
	}
	// The overlay driver mounts its directory onto itself in the user's namespace.
	const remove = `umount -l "$1/root/overlay" 2>/dev/null; rm -rf "$@"`
	if _, err := b.inside("sh", "-c", remove, "sh", b.base, b.runRoot); err != nil {
		t.Error(err)
		_ = os.RemoveAll(b.base)
		_ = os.RemoveAll(b.runRoot)
	}
}

// awaitClean returns what still is there some time after it should have gone:
// monitors and network helpers end on their own, a little after their container.
func (b *sandbox) awaitClean() error {
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = b.left(); err == nil {
			return nil
		}
	}
	return err
}

// left names every process and mount that belongs to this script's store.
func (b *sandbox) left() error {
	var errs []error
	for _, p := range b.processes() {
		errs = append(errs, fmt.Errorf("left behind: process %d: %s", p.pid, p.what))
	}
	mounts, err := b.inside("cat", "/proc/self/mountinfo")
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	word := filepath.Base(b.base)
	for line := range strings.Lines(string(mounts)) {
		// The driver may mount its own directory onto itself, once for all.
		fields := strings.Fields(line)
		if strings.Contains(line, word) && fields[4] != filepath.Join(b.base, "root", "overlay") {
			errs = append(errs, fmt.Errorf("left behind: mount %s", strings.TrimSpace(line)))
		}
	}
	return errors.Join(errs...)
}

type process struct {
	pid  int
	what string
}

// processes finds those that name the sandbox in their command line (monitors,
// network helpers) or that live in a root made from it (containers).
func (b *sandbox) processes() []process {
	word := []byte(filepath.Base(b.base))
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var found []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil || pid == os.Getpid() {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if bytes.Contains(cmdline, word) {
			found = append(found, process{pid, string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))})
			continue
		}
		mounts, _ := os.ReadFile(filepath.Join(dir, "mountinfo"))
		for line := range bytes.Lines(mounts) {
			fields := bytes.Fields(line)
			if len(fields) > 4 && string(fields[4]) == "/" && bytes.Contains(line, word) {
				found = append(found, process{pid, "in a container: " + string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))})
			}
		}
	}
	return found
}

// endStuck ends what still has the script's environment.
func (b *sandbox) endStuck() {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		environ, _ := os.ReadFile(filepath.Join(dir, "environ")) // of others: not readable
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && pid != os.Getpid() && slices.Contains(strings.Split(string(environ), "\x00"), "BASE="+b.base) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// killLeft ends what a failed script left, so that it does not disturb others.
func (b *sandbox) killLeft() {
	for _, p := range b.processes() {
		b.t.Logf("killing %d: %s", p.pid, p.what)
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	_, _ = b.inside("sh", "-c",
		`grep -o "[^ ]*$1[^ ]*" /proc/self/mountinfo | sort -ru | xargs -r umount -l 2>/dev/null`, "sh", filepath.Base(b.base))
}

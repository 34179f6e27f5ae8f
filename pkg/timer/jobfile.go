package timer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/wholefile"
)

// dir holds the jobs of all stores of the user; there is one watcher for them.
func (t *Timers) dir() string { return filepath.Join(t.RunBase, "pod", "timers") }

// path is the file of a job.
func (t *Timers) path(name string) string { return filepath.Join(t.dir(), t.Store+"-"+name) }

// fields are lines of a job's file, "key=value"; a zero byte ends each, since
// arguments may hold anything else. nsenter/watch_job.c reads them.
type fields []string

func (f *fields) add(key, value string) { *f = append(*f, key+"="+value) }

// jobHeader is the first field: the format's version.
const jobHeader = "job=1"

func (t *Timers) jobFields(j Job) fields {
	f := fields{jobHeader}
	f.add("due", strconv.FormatInt(boottime()+j.After.Nanoseconds(), 10))
	f.add("every", strconv.FormatInt(j.Every.Nanoseconds(), 10))
	f.add("arg", t.Self)
	for _, arg := range j.Args {
		f.add("arg", arg)
	}
	for _, env := range jobEnv(t.Environ, true) {
		f.add("env", env)
	}
	return f
}

func rotationFields(r Rotation) fields {
	f := fields{jobHeader}
	f.add("rotate", "1")
	f.add("path", r.Path)
	f.add("control", r.Control)
	f.add("max-size", strconv.FormatInt(r.MaxSize, 10))
	f.add("max-age", strconv.FormatInt(r.MaxAge.Nanoseconds(), 10))
	f.add("max-files", strconv.Itoa(r.MaxFiles))
	return f
}

// jobEnv picks what a pod command needs: who the user is, where his files are,
// and what he configured. inside are variables that say that a process is in
// pod's namespaces already, as the watcher's children are.
func jobEnv(environ []string, inside bool) []string {
	names := []string{"HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "LANG", "TZ", "REGISTRY_AUTH_FILE"}
	prefixes := []string{"XDG_", "CONTAINERS_", "STORAGE_", "DBUS_", "POD_"}
	if inside {
		prefixes = append(prefixes, "_CONTAINERS_")
	}
	var env []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		keep := false
		for _, n := range names {
			keep = keep || n == name
		}
		for _, p := range prefixes {
			keep = keep || strings.HasPrefix(name, p)
		}
		if keep {
			env = append(env, entry)
		}
	}
	return env
}

// boottime is the clock that goes on while the machine sleeps.
func boottime() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Now().UnixNano() // never: all kernels have it
	}
	return ts.Nano()
}

// writeFile puts a job's file in place at once or not at all.
func (t *Timers) writeFile(name string, f fields) error {
	boot, err := process.BootID()
	if err != nil {
		return err
	}
	f.add("boot", boot)
	if err := os.MkdirAll(t.dir(), 0o700); err != nil {
		return fmt.Errorf("make directory of timers: %w", err)
	}
	if err := wholefile.Write(t.path(name), ".new-", []byte(strings.Join(f, "\x00")+"\x00")); err != nil {
		return fmt.Errorf("write timer: %w", err)
	}
	return nil
}

func (t *Timers) removeFile(name string) error {
	if err := os.Remove(t.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove timer: %w", err)
	}
	return nil
}

// runsDir holds, below dir, the files of jobs that the watcher has taken to run
// them once; .NAME beside them says which process runs a job.
const runsDir = ".runs"

// fileNames are the files of the jobs of all stores, those under way included.
func (t *Timers) fileNames() ([]string, error) {
	var names []string
	for _, dir := range []string{t.dir(), filepath.Join(t.dir(), runsDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read timers: %w", err)
		}
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), ".") {
				names = append(names, entry.Name())
			}
		}
	}
	return names, nil
}

package doctor

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/rootless"
)

// Host is what the checks look at.
type Host struct {
	// Root is put before every path whose content is read; tests lay a tree of
	// their own there.
	Root string
	// UID, GID and User are who asks; Inside: from within pod's namespaces.
	UID, GID int
	User     string
	Inside   bool
	Env      func(string) string
	// Program is this program's path, Built when it was built.
	Program string
	Built   time.Time
	// GraphRoot, RunRoot and RunBase are empty where they cannot be told.
	GraphRoot, RunRoot, RunBase string
	// Driver and DriverOptions are the configured storage driver.
	Driver        string
	DriverOptions []string
	// ConfigErr is why a configuration file cannot be used.
	ConfigErr error
	// Runtime is the configured OCI runtime, Runtimes where they may be, Conmon
	// the same of the monitor, HelperDirs where network helpers are.
	Runtime    string
	Runtimes   map[string][]string
	Conmon     []string
	HelperDirs []string

	Kernel Kernel

	trialOnce   sync.Once
	trialResult rootless.Trial
	overlayOnce sync.Once
	overlayDir  string
	overlayErr  error
}

// Kernel is what a tree of files cannot stand for.
type Kernel interface {
	Stat(path string) (Stat, error)
	Statfs(path string) (FS, error)
	// FileCaps says whether a program has file capabilities.
	FileCaps(path string) bool
	// UserXattr tries an attribute user.* in a directory.
	UserXattr(dir string) error
	// Writable says whether we may make files in a directory.
	Writable(dir string) error
	// Reflinks says whether files in a directory can share data.
	Reflinks(dir string) bool
	// Open opens a device for reading and writing.
	Open(path string) error
	// Connect connects to a socket.
	Connect(path string) error
	// NoNewPrivs says whether setuid programs have no effect for us.
	NoNewPrivs() bool
	// Namespaces makes the user's namespaces for a moment; Kept counts the ids
	// of those that are kept now, and the processes in them besides the one that
	// keeps them.
	Namespaces(ctx context.Context) rootless.Trial
	Kept() (ids, processes int)
	// Probe tries what a process in a new user namespace may do: "overlay" or
	// "idmap", in a directory.
	Probe(ctx context.Context, what, dir string) error
	// Ask runs a program and returns what it prints.
	Ask(ctx context.Context, program string, args ...string) (string, error)
	// QuickCheck checks the state below a graph root, OpenStore opens its store.
	QuickCheck(ctx context.Context, graphRoot string) error
	OpenStore(ctx context.Context) error
	Now() time.Time
}

// Stat is what a check needs to know of a file.
type Stat struct {
	Mode     uint32 // as st_mode
	UID, GID int
	Size     int64
	ModTime  time.Time
}

func (s Stat) isDir() bool { return s.Mode&unix.S_IFMT == unix.S_IFDIR }

// FS is a file system as statfs(2) describes it.
type FS struct {
	Type string
	// Flags are ro, noexec, nodev, nosuid.
	Flags              []string
	Size, Free         uint64
	Inodes, FreeInodes uint64
}

func (h *Host) read(path string) (string, error) {
	data, err := os.ReadFile(filepath.Join(h.Root, path))
	return string(bytes.TrimSpace(data)), err
}

// word reads a small file, "" if it cannot be read.
func (h *Host) word(path string) string {
	text, err := h.read(path)
	if err != nil {
		return ""
	}
	return text
}

func (h *Host) exists(path string) bool {
	_, err := h.Kernel.Stat(path)
	return err == nil
}

func (h *Host) sysctl(name string) string {
	return h.word("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
}

// systemd says whether systemd is the machine's init, as sd_booted does.
func (h *Host) systemd() bool {
	st, err := h.Kernel.Stat("/run/systemd/system")
	return err == nil && st.isDir()
}

// trial makes the namespaces once for all checks.
func (h *Host) trial(ctx context.Context) rootless.Trial {
	h.trialOnce.Do(func() { h.trialResult = h.Kernel.Namespaces(ctx) })
	return h.trialResult
}

// find looks for a program: in candidates, then in the directories of the
// search path and where distributions put such programs.
func (h *Host) find(name string, candidates ...string) string {
	dirs := append(filepath.SplitList(h.Env("PATH")), "/usr/local/bin", "/usr/bin", "/usr/sbin", "/sbin", "/bin", "/usr/local/sbin")
	for _, dir := range dirs {
		if filepath.IsAbs(dir) {
			candidates = append(candidates, filepath.Join(dir, name))
		}
	}
	for _, path := range candidates {
		st, err := h.Kernel.Stat(path)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0 {
			return path
		}
	}
	return ""
}

// existing is the nearest directory on the way to path that is there.
func (h *Host) existing(path string) string {
	for path != "/" && path != "." {
		if st, err := h.Kernel.Stat(path); err == nil && st.isDir() {
			return path
		}
		path = filepath.Dir(path)
	}
	return "/"
}

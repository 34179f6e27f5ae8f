// Package rootless brings pod into the namespaces it works in and says what they
// are: for a user a user namespace with his sub-ids and a mount namespace, for
// root nothing, or a mount namespace where the cgroup layout needs one.
//
// The first command makes them and leaves a pause process that keeps them; later
// ones join in the C constructor of package nsenter, before Go starts. This
// package owns the run directory, the pause process and its identity file, and
// the id maps. Containers, cgroups and D-Bus are the business of others.
package rootless

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"syscall"
)

// Entry is what the C constructor found and did before Go started.
type Entry struct {
	// HostUID and HostGID are the user's ids outside of the namespace.
	HostUID, HostGID int
	// Inside: the process is in pod's namespaces already.
	Inside bool
	// UserNS: these include a user namespace of the user's own.
	UserNS bool
	// Within: it was started in them, as by pod unshare, and sees their mounts
	// after its end too.
	Within bool
	// Err is why the process cannot go on: the join broke half way.
	Err string
	// Why says why an existing pause process was not joined.
	Why string
	// LostDir is the current directory when it could not be entered again in
	// the namespace; the process is in / then.
	LostDir string
	// Umask is the mask the user's commands have; pod itself works with 0022.
	Umask int
}

// broken returns the error of a join that broke half way.
func (e Entry) broken() error {
	if e.Err == "" {
		return nil
	}
	return fmt.Errorf("enter the user namespace: %s", e.Err)
}

// Mapping is one line of an id map: Size ids from ContainerID inside are the ids
// from HostID outside.
type Mapping struct {
	ContainerID, HostID, Size int
}

// Session is where the process runs: what every later part may rely on.
type Session struct {
	// HostUID and HostGID are the user's ids outside of the namespace.
	HostUID, HostGID int
	// Rootless: the process is root in a user namespace of its own.
	Rootless bool
	// Inside: the process is in namespaces which pod keeps by a pause process.
	Inside bool
	// Within: the caller is in them too (pod unshare), and sees what is mounted.
	Within         bool
	UIDMap, GIDMap []Mapping
	// SingleID: only the user's own id exists, as 0.
	SingleID bool
	// HybridCgroup: cgroup v2 was bound over a hybrid /sys/fs/cgroup. It has no
	// controllers, so limits and pause cannot work.
	HybridCgroup bool
	// RunBase is the user's run directory; pod's own files are in RunBase/pod.
	RunBase string
	// Reduced tells in one line each what is less than it could be, and the remedy.
	Reduced []string
}

// Names in the environment; the first three are the field's (containers/storage
// and buildah read them), the last counts re-executions and never gets past them.
const (
	envConfigured = "_CONTAINERS_USERNS_CONFIGURED"
	envUID        = "_CONTAINERS_ROOTLESS_UID"
	envGID        = "_CONTAINERS_ROOTLESS_GID"
	envReexec     = "_POD_REEXEC"
	envRuntimeDir = "XDG_RUNTIME_DIR"
)

// maxReexec is how often one command may start itself again: once to join what
// it made, and more only if the pause process is killed in between.
const maxReexec = 3

// Enter makes sure that the process is in the namespaces pod works in. It
// returns when it is; otherwise it makes them, or waits for another command that
// does, and executes the program again, whose constructor joins: then it does
// not return. Warnings about what is reduced go to log at the making only.
func Enter(ctx context.Context, entry Entry, log *slog.Logger) (*Session, error) {
	if err := entry.broken(); err != nil {
		return nil, err
	}
	tries, _ := strconv.Atoi(os.Getenv(envReexec)) // absent and foreign values count as 0
	if err := os.Unsetenv(envReexec); err != nil {
		return nil, fmt.Errorf("enter the user namespace: %w", err)
	}
	kind := wantedKind(entry)
	if entry.Inside || kind == kindNone {
		return newSession(entry)
	}
	base, err := RunBase(entry.HostUID)
	if err != nil {
		return nil, err
	}
	if tries >= maxReexec {
		return nil, fmt.Errorf("join the namespaces kept in %s: %s; try: rm %s", podDir(base), orUnknown(entry.Why), identityPath(base))
	}
	if err := ensurePause(ctx, base, kind, entry, log); err != nil {
		return nil, err
	}
	return nil, reexec(tries+1, entry.Umask)
}

// reexec starts the program again in this process. The constructor joins.
func reexec(tries, umask int) error {
	syscall.Umask(umask)
	env := append(os.Environ(), envReexec+"="+strconv.Itoa(tries))
	err := syscall.Exec("/proc/self/exe", os.Args, env)
	return fmt.Errorf("execute %s again: %w", os.Args[0], err)
}

// wantedKind says what a process outside needs: a user who is not root, and a
// root who may not mount (in a container), a user namespace; root on a hybrid
// machine without systemd a mount namespace, because crun refuses that layout.
func wantedKind(entry Entry) kind {
	if entry.HostUID != 0 || !hasSysAdmin() {
		return kindUser
	}
	if _, hybrid := HybridCgroup(); hybrid && !systemdRuns() {
		return kindMount
	}
	return kindNone
}

// newSession describes the namespaces the process is in.
func newSession(entry Entry) (*Session, error) {
	s := &Session{HostUID: entry.HostUID, HostGID: entry.HostGID, Inside: entry.Inside, Within: entry.Within, Rootless: entry.UserNS}
	var err error
	if s.UIDMap, err = readMap("/proc/self/uid_map"); err != nil {
		return nil, err
	}
	if s.GIDMap, err = readMap("/proc/self/gid_map"); err != nil {
		return nil, err
	}
	s.SingleID = s.Rootless && total(s.UIDMap) == 1
	if s.RunBase, err = RunBase(entry.HostUID); err != nil {
		return nil, err
	}
	if s.Rootless && os.Getenv(envRuntimeDir) != s.RunBase {
		// containers/storage and common choose their run directory by it.
		if err := os.Setenv(envRuntimeDir, s.RunBase); err != nil {
			return nil, fmt.Errorf("set %s: %w", envRuntimeDir, err)
		}
	}
	if s.Inside {
		id, err := readIdentity(s.RunBase)
		switch {
		case err == nil:
			s.HybridCgroup = id.Hybrid
			s.Reduced = append(s.Reduced, id.Reduced...)
		case !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errBadIdentity):
			return nil, err
		}
	}
	if s.SingleID && len(s.Reduced) == 0 { // entered by another tool
		s.Reduced = append(s.Reduced, singleReason(entry.HostUID, "this user namespace has no others", checkSubIDs))
	}
	if entry.LostDir != "" {
		s.Reduced = append(s.Reduced, fmt.Sprintf("the current directory %s cannot be entered by %s: relative paths begin at /; change to another directory", entry.LostDir, userName(s.HostUID)))
	}
	if isFallback(s.RunBase) {
		s.Reduced = append(s.Reduced, fmt.Sprintf("%s is used as run directory: no XDG_RUNTIME_DIR and no /run/user/%d; log in through systemd, or set XDG_RUNTIME_DIR to a private directory on a tmpfs %s", s.RunBase, s.HostUID, checkRunDir))
	}
	return s, nil
}

func orUnknown(why string) string {
	if why == "" {
		return "the program is built without its constructor"
	}
	return why
}

package libpod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// joinsIPC says whose IPC namespace, and so whose /dev/shm, a container joins. That
// of a container under debug is below /target.
func joinsIPC(c *state.Container) (target string, ok bool) {
	if c.Spec.Debugs != "" {
		return "", false
	}
	return strings.CutPrefix(c.Spec.Spaces.IPC, "container:")
}

// shmPath is among the mounts that end with the run: whoever removes the
// container's directory undoes them first, or the other's files would go with it.
func (e *Engine) shmPath(id string) string { return filepath.Join(string(e.ownMounts(id)), "shm") }

// shareShm mounts the /dev/shm of the container whose IPC namespace is joined
// among pod's own mounts, and binds that: POSIX shared memory is a file system, not
// part of the namespace.
func (e *Engine) shareShm(ctx context.Context, c *state.Container, target string, l *launch) error {
	other, err := e.running(ctx, target, "share the memory of")
	if err != nil {
		return err
	}
	if other.Spec.Spaces.IPC == "private" {
		return fmt.Errorf("ipc of container %s is not allowed: non-shareable IPC (hint: create it with --ipc shareable)", short(other.ID))
	}
	path := e.shmPath(c.ID)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return fmt.Errorf("share /dev/shm of container %s: %w", short(other.ID), err)
	}
	if err := cloneShm(other.Run.Init.PID, path); err != nil {
		return fmt.Errorf("share /dev/shm of container %s: %w", short(other.ID), err)
	}
	l.binds = append(l.binds, rspec.Mount{
		Destination: "/dev/shm", Type: "bind", Options: []string{"bind", "rprivate", "nosuid", "noexec", "nodev"},
		Source: path,
	})
	return nil
}

// cloneShm copies the mount of a container's /dev/shm to path. The kernel binds
// no mount of another mount namespace, so a thread goes there and brings a copy.
func cloneShm(pid int, path string) error {
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		fd, err := openShm(pid)
		done <- result{fd, err}
	}()
	r := <-done
	if r.err != nil {
		return r.err
	}
	defer func() { _ = unix.Close(r.fd) }()
	return unix.MoveMount(r.fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

func openShm(pid int) (int, error) {
	ns, err := unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(ns) }()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return -1, err
	}
	if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
		return -1, fmt.Errorf("enter its mount namespace: %w", err)
	}
	return unix.OpenTree(unix.AT_FDCWD, "/dev/shm", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
}

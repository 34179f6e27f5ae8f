package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/storage"
)

// Real is the kernel that pod runs on.
type Real struct {
	Entry rootless.Entry
	// RunBase is the user's run directory, empty if he has none yet.
	RunBase string
	// Self is the argument vector of this program with its global flags.
	Self []string
}

// Stat follows links, as a user of the file does.
func (*Real) Stat(path string) (Stat, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Stat{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return Stat{Mode: st.Mode, UID: int(st.Uid), GID: int(st.Gid), Size: st.Size, ModTime: time.Unix(st.Mtim.Unix())}, nil
}

// Statfs describes the file system of a path.
func (*Real) Statfs(path string) (FS, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return FS{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	info := FS{
		Type: typeName(st.Type), Size: st.Blocks * uint64(st.Bsize), Free: st.Bavail * uint64(st.Bsize),
		Inodes: st.Files, FreeInodes: st.Ffree,
	}
	for _, flag := range []struct {
		bit  int64
		name string
	}{{unix.ST_RDONLY, "ro"}, {unix.ST_NOSUID, "nosuid"}, {unix.ST_NODEV, "nodev"}, {unix.ST_NOEXEC, "noexec"}} {
		if st.Flags&flag.bit != 0 {
			info.Flags = append(info.Flags, flag.name)
		}
	}
	return info, nil
}

// Reflinks tries it.
func (*Real) Reflinks(dir string) bool { return storage.Reflinks(dir) }

// FileCaps says whether a program has file capabilities.
func (*Real) FileCaps(path string) bool {
	n, err := unix.Getxattr(path, "security.capability", nil)
	return err == nil && n > 0
}

// UserXattr sets an attribute on a file that is there for a moment.
func (*Real) UserXattr(dir string) error {
	f, err := os.CreateTemp(dir, ".pod-doctor-")
	if err != nil {
		return err
	}
	err = unix.Fsetxattr(int(f.Fd()), "user.pod", []byte("1"), 0)
	return errors.Join(err, os.Remove(f.Name()), f.Close())
}

// Writable asks the kernel.
func (*Real) Writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

// Open opens a device and closes it.
func (*Real) Open(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// Connect connects to a socket and hangs up.
func (*Real) Connect(path string) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).Dial("unix", path)
	if err != nil {
		return err
	}
	return conn.Close()
}

// NoNewPrivs asks the kernel.
func (*Real) NoNewPrivs() bool {
	n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err == nil && n == 1
}

// Namespaces makes namespaces and lets them go.
func (k *Real) Namespaces(ctx context.Context) rootless.Trial { return rootless.Try(ctx, k.Entry) }

// Kept looks at the pause process.
func (k *Real) Kept() (ids, processes int) {
	if k.RunBase == "" {
		return 0, 0
	}
	pid, ids := rootless.Kept(k.RunBase)
	if ids == 0 {
		return 0, 0
	}
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", pid))
	if err != nil {
		return ids, 1 // not known to be alone
	}
	links, _ := filepath.Glob("/proc/[0-9]*/ns/user")
	for _, link := range links {
		if ns, err := os.Readlink(link); err == nil && ns == own && link != fmt.Sprintf("/proc/%d/ns/user", pid) {
			processes++
		}
	}
	return ids, processes
}

// Ask runs a program. What it prints counts even if it ends with an error.
func (*Real) Ask(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = checkTimeout / 4
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// QuickCheck checks the records.
func (*Real) QuickCheck(ctx context.Context, graphRoot string) error {
	return state.QuickCheck(ctx, graphRoot)
}

// OpenStore lists images, as any command would.
func (k *Real) OpenStore(ctx context.Context) error {
	args := append(append([]string(nil), k.Self[1:]...), "image", "ls", "--quiet")
	cmd := exec.CommandContext(ctx, k.Self[0], args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = checkTimeout / 4
	if err := cmd.Run(); err != nil {
		return errors.New(orElse(strings.TrimSpace(stderr.String()), err.Error()))
	}
	return nil
}

// Now is the clock.
func (*Real) Now() time.Time { return time.Now() }

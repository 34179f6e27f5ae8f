package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ProbeVerb is the hidden command by which the program tries something in a user
// namespace of its own.
const ProbeVerb = "__probe"

// Probe starts this program in new user and mount namespaces, where nothing it
// mounts is seen by others, and lets it try.
func (k *Real) Probe(ctx context.Context, what, dir string) (err error) {
	if what == "overlay" {
		if dir, err = os.MkdirTemp(dir, ".pod-doctor-"); err != nil {
			return fmt.Errorf("%w: %w", errUntried, err)
		}
		defer func() { err = errors.Join(err, dropOverlay(dir)) }()
	}
	cmd := inNewUser(ctx, k.Entry.HostUID, k.Entry.HostGID, what, dir)
	cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %w: %s", errUntried, err, bytes.TrimSpace(stderr.Bytes()))
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	switch word {
	case "ok":
		return nil
	case "limited":
		return &LimitedError{Reason: rest}
	case "errno":
		number, step, _ := strings.Cut(rest, " ")
		n, _ := strconv.Atoi(number)
		return fmt.Errorf("%s: %w", step, syscall.Errno(n))
	}
	return fmt.Errorf("%w: it says %q", errUntried, out)
}

// inNewUser is this program in a user namespace with one id.
func inNewUser(ctx context.Context, uid, gid int, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe") // children of a probe are in /proc too
	cmd.Args = append([]string{"pod", ProbeVerb}, args...)
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	return cmd
}

// RunProbe is the side in the namespace. It says what came of it in one line.
func RunProbe(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New(ProbeVerb + " is started by pod itself")
	}
	var err error
	switch {
	case args[0] == "overlay" && len(args) == 2:
		err = tryOverlay(args[1])
	case args[0] == "idmap" && len(args) == 2:
		err = tryIDMap(ctx, args[1])
	case args[0] == "wait":
		_, err = io.Copy(io.Discard, in) // until the parent hangs up
	default:
		return errors.New(ProbeVerb + " is started by pod itself")
	}
	var errno syscall.Errno
	var limited *LimitedError
	switch {
	case err == nil:
		fmt.Fprintln(out, "ok")
	case errors.As(err, &limited):
		fmt.Fprintln(out, "limited", limited.Reason)
	case errors.As(err, &errno):
		step, _, _ := strings.Cut(err.Error(), ":")
		fmt.Fprintln(out, "errno", int(errno), step)
	default:
		return err
	}
	return nil
}

// tryOverlay does what a container does: it writes a file and removes one of the
// layer below, for which the kernel must allow whiteouts and marks.
func tryOverlay(dir string) error {
	for _, sub := range []string{"lower/d", "upper", "work", "merged"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return fmt.Errorf("mkdir: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "lower/d/old"), nil, 0o600); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,userxattr", at("lower"), at("upper"), at("work"))
	if err := unix.Mount("overlay", at("merged"), "overlay", 0, options); err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	if err := os.WriteFile(at("merged/new"), nil, 0o600); err != nil {
		return fmt.Errorf("write in the overlay: %w", err)
	}
	if err := os.RemoveAll(at("merged/d")); err != nil {
		return fmt.Errorf("remove in the overlay: %w", err)
	}
	if err := os.Mkdir(at("merged/d"), 0o700); err != nil { // opaque, by an attribute
		return fmt.Errorf("mkdir in the overlay: %w", err)
	}
	if err := unix.Unmount(at("merged"), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount: %w", err)
	}
	return nil
}

// dropOverlay removes what tryOverlay made. The kernel gives the inner directory
// of the work directory no permission at all.
func dropOverlay(dir string) error {
	inner := filepath.Join(dir, "work", "work")
	if err := os.Chmod(inner, 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) { //nolint:gosec // a directory of ours
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	return nil
}

// tryIDMap maps a tmpfs of our own, then the file system of dir.
func tryIDMap(ctx context.Context, dir string) error {
	child := inNewUser(ctx, 0, 0, "wait")
	hold, err := child.StdinPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("nested namespace: %w", err)
	}
	defer func() {
		hold.Close()
		_ = child.Wait()
	}()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", child.Process.Pid))
	if err != nil {
		return fmt.Errorf("nested namespace: %w", err)
	}
	defer ns.Close()
	tmpfs, err := newTmpfs()
	if err != nil {
		return err
	}
	defer unix.Close(tmpfs)
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
	if err := unix.MountSetattr(tmpfs, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return &LimitedError{Reason: "they cannot be tried (" + err.Error() + ")"}
	}
	defer unix.Close(tree)
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return &LimitedError{Reason: "only root can (" + err.Error() + ")"}
	}
	return nil
}

// newTmpfs makes a tmpfs that is mounted nowhere.
func newTmpfs() (int, error) {
	made, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(made)
	if err := unix.FsconfigCreate(made); err != nil {
		return -1, fmt.Errorf("fsconfig: %w", err)
	}
	mount, err := unix.Fsmount(made, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("fsmount: %w", err)
	}
	return mount, nil
}

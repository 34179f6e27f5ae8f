// Package ownmount owns the mounts that pod itself makes for one run of a
// container, because the runtime has no word for them: a path inside a volume that
// must not lead out of it, a throw-away overlay. Each is made at a place of its own
// in the container's run directory, which is then bound into the container; what
// is bound is decided when it is opened, whatever happens to the names afterwards.
package ownmount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/cyphar/filepath-securejoin/pathrs-lite"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/storage/pkg/idmap"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// Dir holds the mounts of one container.
type Dir string

// place is the path of mount n.
func (d Dir) place(n int) string { return filepath.Join(string(d), strconv.Itoa(n)) }

// Sub binds root/sub, resolved inside root, as mount n, and returns where. An
// empty sub is root itself.
func (d Dir) Sub(n int, root, sub string) (string, error) {
	handle, err := pathrs.OpenInRoot(root, filepath.Join("/", sub))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("subpath %s: no such file or directory: make it first", sub)
		}
		return "", fmt.Errorf("subpath %s: %w", sub, err)
	}
	defer handle.Close()
	info, err := handle.Stat()
	if err != nil {
		return "", fmt.Errorf("subpath %s: %w", sub, err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return "", fmt.Errorf("subpath %s is neither a directory nor a regular file", sub)
	}
	target, err := d.target(n, info.IsDir())
	if err != nil {
		return "", err
	}
	if err := unix.Mount(fdPath(handle), target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return "", fmt.Errorf("bind subpath %s: %w", sub, err)
	}
	return target, unix.Mount("", target, "", unix.MS_PRIVATE|unix.MS_REC, "")
}

// Overlay describes a mount over a directory that leaves the directory as it is.
type Overlay struct {
	Lower string
	// Upper and Work keep the changes; they must exist.
	Upper, Work string
	// InUserNS: pod has no real root, so the kernel keeps marks in user.* attributes.
	InUserNS bool
	// Data is added to the options of the mount: an SELinux context.
	Data string
}

// Overlay mounts o as mount n, and returns where.
func (d Dir) Overlay(n int, o Overlay) (string, error) {
	data := ""
	for _, part := range []struct{ option, path string }{{"lowerdir", o.Lower}, {"upperdir", o.Upper}, {"workdir", o.Work}} {
		// Descriptors, since a path may hold the commas and colons of the options.
		dir, err := os.OpenFile(part.path, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return "", fmt.Errorf("overlay: %w", err)
		}
		defer dir.Close()
		data += part.option + "=" + fdPath(dir) + ","
	}
	data += o.Data
	if o.InUserNS {
		data += "userxattr,"
	}
	target, err := d.target(n, true)
	if err != nil {
		return "", err
	}
	if err := unix.Mount("overlay", target, "overlay", 0, data[:len(data)-1]); err != nil {
		return "", fmt.Errorf("mount an overlay over %s: %w: the file systems of both sides must be able to (not NFS, not another overlay's upper)", o.Lower, err)
	}
	return target, nil
}

// Idmapped mounts root as mount n with other owners: files of ContainerID show as
// those of HostID. Of what is mounted below root nothing is there.
func (d Dir) Idmapped(n int, root string, uids, gids []rspec.LinuxIDMapping) (string, error) {
	target, err := d.target(n, true)
	if err != nil {
		return "", err
	}
	convert := func(list []rspec.LinuxIDMapping) (out []idtools.IDMap) {
		for _, m := range list {
			out = append(out, idtools.IDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)})
		}
		return out
	}
	pid, end, err := idmap.CreateUsernsProcess(convert(uids), convert(gids))
	if err != nil {
		return "", fmt.Errorf("make a user namespace for the ids of %s: %w", root, err)
	}
	defer end()
	if err := idmap.CreateIDMappedMount(root, target, pid); err != nil {
		return "", fmt.Errorf("mount %s with other owners: %w: the kernel lets only root do that, and not on every file system", root, err)
	}
	return target, nil
}

// Scratch makes an upper and a work directory below dir, the upper one with owner
// and mode of lower: the overlay's top is that of the upper.
func Scratch(dir, lower string) (upper, work string, err error) {
	upper, work = filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	info, err := os.Stat(lower)
	if err != nil {
		return "", "", err
	}
	if !info.IsDir() {
		return "", "", fmt.Errorf("%s is no directory: the option O works with directories only", lower)
	}
	for _, p := range []string{upper, work} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return "", "", fmt.Errorf("make directory of the overlay: %w", err)
		}
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := os.Lchown(upper, int(st.Uid), int(st.Gid)); err != nil {
			return "", "", fmt.Errorf("make directory of the overlay: %w", err)
		}
	}
	return upper, work, os.Chmod(upper, info.Mode()) // after chown, which takes bits away
}

func fdPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// target makes the place of mount n, a directory or a file.
func (d Dir) target(n int, dir bool) (string, error) {
	target := d.place(n)
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return "", fmt.Errorf("make directory of the mounts: %w", err)
	}
	if dir {
		err := os.Mkdir(target, 0o700)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("make place of the mount: %w", err)
		}
		return target, nil
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("make place of the mount: %w", err)
	}
	return target, f.Close()
}

// Reachable binds root where everybody may go, and returns where: the process that
// enters a user namespace without the owner of root's parents may not pass these.
// The name follows from the id, so that Unreach finds it after a kill.
func Reachable(id, root string) (string, error) {
	at, err := reach(id)
	if err != nil {
		return "", err
	}
	// Nobody can have taken a name that is random; an earlier run may have.
	if err := os.Mkdir(at, 0o711); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // that is the point
		return "", fmt.Errorf("make a place everybody can reach: %w", err)
	}
	dir, err := os.OpenFile(at, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", fmt.Errorf("make a place everybody can reach: %w", err)
	}
	defer dir.Close()
	if err := unix.Mount(root, fdPath(dir), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return "", fmt.Errorf("bind the root file system at %s: %w", at, err)
	}
	return at, unix.Mount("", at, "", unix.MS_PRIVATE|unix.MS_REC, "")
}

// Unreach undoes Reachable; what was never done is no error.
func Unreach(id string) error {
	at, err := reach(id)
	if err != nil {
		return nil //nolint:nilerr // then nothing can have been bound
	}
	for unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) == nil { //nolint:revive // one may lie on another
	}
	if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the place of the root file system: %w", err)
	}
	return nil
}

// reach is where Reachable binds.
func reach(id string) (string, error) {
	for _, dir := range []string{"/var/tmp", "/tmp"} {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 != 0 {
			return filepath.Join(dir, "pod-"+id), nil
		}
	}
	return "", errors.New("neither /var/tmp nor /tmp is open to everybody: chmod 1777 /var/tmp")
}

// Release undoes all mounts and removes the directory. It never removes what is
// in a mount: a place that is still mounted stays, and is an error.
func (d Dir) Release() error {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("release mounts: %w", err)
	}
	for _, e := range entries {
		at := filepath.Join(string(d), e.Name())
		for unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) == nil { //nolint:revive // one may lie on another
		}
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("release mounts: %w", err)
		}
	}
	if err := os.Remove(string(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release mounts: %w", err)
	}
	return nil
}

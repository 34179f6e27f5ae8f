// Package overlaymount is a mount program, as fuse-overlayfs is one, for hosts where
// the kernel refuses the overlays that buildah mounts over contexts and mounts of RUN
// steps. It refuses them when the upper directory, which is in the directory for
// temporary files, is on an overlay itself, as it is in a container. Here the upper
// directory goes to a tmpfs then, and if there can be no overlay at all, the lower one
// is shown read-only.
//
// The program is pod itself under another name.
package overlaymount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Name is what pod is called when it is to mount.
const Name = "pod-overlay"

// Refused says whether the kernel refuses an overlay whose upper directory is in dir.
func Refused(dir string) (refused bool, err error) {
	tmp, err := os.MkdirTemp(dir, "pod-overlay-")
	if err != nil {
		return false, fmt.Errorf("try an overlay in %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, remove(tmp)) }()
	for _, sub := range []string{"lower", "upper", "work", "merge"} {
		if err := os.Mkdir(filepath.Join(tmp, sub), 0o700); err != nil {
			return false, fmt.Errorf("try an overlay in %s: %w", dir, err)
		}
	}
	merge := filepath.Join(tmp, "merge")
	if native(layers{lower: filepath.Join(tmp, "lower"), upper: filepath.Join(tmp, "upper"), work: filepath.Join(tmp, "work")}, merge) != nil {
		return true, nil
	}
	if err := unix.Unmount(merge, unix.MNT_DETACH); err != nil {
		return false, fmt.Errorf("try an overlay in %s: %w", dir, err)
	}
	return false, nil
}

// remove deletes what Refused made; the kernel leaves a directory without permissions.
func remove(tmp string) error {
	inner := filepath.Join(tmp, "work", "work")
	if err := os.Chmod(inner, 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) { //nolint:gosec // a directory of ours
		return fmt.Errorf("remove %s: %w", tmp, err)
	}
	return os.RemoveAll(tmp)
}

// layers are the directories of an overlay.
type layers struct {
	// lower has the directories as the kernel takes them, separated by colons.
	lower, upper, work string
	// rest are options that are passed on.
	rest []string
}

// parse reads the options of a mount program.
func parse(options string) (layers, error) {
	var l layers
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "lowerdir":
			l.lower = value
		case "upperdir":
			l.upper = value
		case "workdir":
			l.work = value
		case "", "private": // every mount here is made private
		default:
			l.rest = append(l.rest, option)
		}
	}
	if l.lower == "" {
		return l, fmt.Errorf("mount options %q: no lowerdir", options)
	}
	return l, nil
}

func (l layers) options(extra ...string) string {
	words := []string{"lowerdir=" + l.lower}
	if l.upper != "" {
		words = append(words, "upperdir="+l.upper, "workdir="+l.work)
	}
	return strings.Join(append(append(words, l.rest...), extra...), ",")
}

// dirs are the lower directories; a colon in a name has a backslash before it.
func (l layers) dirs() []string {
	var dirs []string
	var b strings.Builder
	for i := 0; i < len(l.lower); i++ {
		switch c := l.lower[i]; {
		case c == '\\' && i+1 < len(l.lower):
			i++
			b.WriteByte(l.lower[i])
		case c == ':':
			dirs = append(dirs, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(dirs, b.String())
}

// Main is the mount program: -o OPTIONS DIR.
func Main(args []string) error {
	if len(args) != 3 || args[0] != "-o" {
		return fmt.Errorf("usage: %s -o OPTIONS DIRECTORY", Name)
	}
	l, err := parse(args[1])
	if err != nil {
		return err
	}
	merge := args[2]
	first := native(l, merge)
	if first == nil {
		return nil
	}
	if l.upper != "" && onTmpfs(l, merge) == nil {
		return nil
	}
	if err := show(l, merge); err != nil {
		return errors.Join(first, err)
	}
	return nil
}

// native mounts the kernel's overlay: with its marks in user attributes, as a user
// namespace needs, else as root has them.
func native(l layers, merge string) error {
	err := unix.Mount("overlay", merge, "overlay", 0, l.options("userxattr"))
	if err != nil {
		err = unix.Mount("overlay", merge, "overlay", 0, l.options())
	}
	if err != nil {
		return fmt.Errorf("mount an overlay on %s: %w", merge, err)
	}
	return private(merge)
}

// onTmpfs keeps what is written in memory. The tmpfs is seen by the overlay alone.
func onTmpfs(l layers, merge string) error {
	dir := l.upper
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("upper directory: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700"); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", dir, err)
	}
	upper := layers{lower: l.lower, upper: filepath.Join(dir, "upper"), work: filepath.Join(dir, "work"), rest: l.rest}
	err = errors.Join(private(dir), os.Mkdir(upper.upper, 0o700), os.Mkdir(upper.work, 0o700), os.Chmod(upper.upper, info.Mode().Perm()))
	if err == nil {
		err = native(upper, merge)
	}
	if detach := unix.Unmount(dir, unix.MNT_DETACH); detach != nil {
		err = errors.Join(err, fmt.Errorf("unmount %s: %w", dir, detach))
	}
	return err
}

// show binds the lower directory read-only; further ones must be empty, as those are
// that only make up the number.
func show(l layers, merge string) error {
	dirs := l.dirs()
	for _, dir := range dirs[1:] {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			return fmt.Errorf("bind %s: it is one of several layers", dirs[0])
		}
	}
	if err := unix.Mount(dirs[0], merge, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", dirs[0], err)
	}
	if err := private(merge); err != nil {
		return err
	}
	// The flags that the mount has already cannot be taken off in a user namespace.
	var st unix.Statfs_t
	if err := unix.Statfs(merge, &st); err != nil {
		return fmt.Errorf("bind %s: %w", dirs[0], err)
	}
	flags := uintptr(st.Flags) & (unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME | unix.ST_NODIRATIME)
	if st.Flags&unix.ST_RELATIME != 0 {
		flags |= unix.MS_RELATIME
	}
	if err := unix.Mount("", merge, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|flags, ""); err != nil {
		return errors.Join(fmt.Errorf("make the view of %s read-only: %w", dirs[0], err), unix.Unmount(merge, unix.MNT_DETACH))
	}
	return nil
}

func private(dir string) error {
	if err := unix.Mount("", dir, "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make the mount of %s private: %w", dir, err)
	}
	return nil
}

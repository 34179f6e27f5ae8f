package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Mount mounts what the options say at a directory that exists. mount(8) does it:
// its words are those that users know from fstab, and file systems of the network
// have programs of their own behind it.
func (o *Options) Mount(ctx context.Context, at string, rootless bool) error {
	if err := o.Check(); err != nil {
		return err
	}
	program, err := exec.LookPath("mount")
	if err != nil {
		return errors.New("volumes with a type or device need the program mount: install the package mount (util-linux)")
	}
	cmd := exec.CommandContext(ctx, program, o.arguments(at, rootless)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return o.explain(strings.Join(strings.Fields(said.String()), " "), err, rootless)
	}
	return private(at)
}

// private keeps what is mounted in the volume later where it is.
func private(at string) error {
	if err := unix.Mount("", at, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mount %s private: %w", at, err)
	}
	return nil
}

func (o *Options) arguments(at string, rootless bool) []string {
	data := slices.Clone(o.Data)
	bind := o.binds()
	if bind {
		// Whose a directory of the host is, and how large, is not the mount's to say.
		data = slices.DeleteFunc(data, func(word string) bool {
			key, _, _ := strings.Cut(word, "=")
			return slices.Contains([]string{"uid", "gid", "size", "nr_inodes"}, key)
		})
	}
	if o.Type == "overlay" && rootless && !slices.Contains(data, "userxattr") {
		data = append(data, "userxattr") // trusted.* is real root's
	}
	var args []string
	kind, device := o.Type, o.Device
	if kind == "bind" || (bind && kind == "none") {
		kind = ""
		if !slices.Contains(data, "bind") && !slices.Contains(data, "rbind") {
			data = append(data, "bind")
		}
	}
	if kind != "" {
		args = append(args, "-t", kind)
		if device == "" {
			device = kind
		}
	}
	if len(data) > 0 {
		args = append(args, "-o", strings.Join(data, ","))
	}
	return append(args, "--", device, at)
}

// binds says whether a directory of the host is mounted.
func (o *Options) binds() bool {
	return o.Type == "bind" || slices.Contains(o.Data, "bind") || slices.Contains(o.Data, "rbind")
}

// explain says why a mount was refused, as far as that is known.
func (o *Options) explain(said string, err error, rootless bool) error {
	if said == "" {
		said = err.Error()
	}
	said = strings.TrimPrefix(said, "mount: ")
	if rootless && !o.binds() {
		switch o.Type {
		case "tmpfs", "ramfs", "overlay", "fuse", "proc", "sysfs":
		default:
			return fmt.Errorf("mount a volume of type %q: %s: the kernel lets only real root mount that: have root mount it on the host, and use --opt type=bind --opt device=DIRECTORY", o.Type, said)
		}
	}
	return fmt.Errorf("mount a volume of type %q: %s", o.Type, said)
}

// Bind mounts a directory at another that exists.
func Bind(source, at string) error {
	if err := unix.Mount(source, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s at %s: %w", source, at, err)
	}
	return unix.Mount("", at, "", unix.MS_PRIVATE|unix.MS_REC, "")
}

// Mounted says whether something is mounted at a path.
func Mounted(at string) (bool, error) {
	mounted, err := mountinfo.Mounted(at)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("is %s mounted: %w", at, err)
	}
	return mounted, nil
}

// Unmount takes away all that is mounted at a path; nothing is no error. Who has it
// open keeps it until then.
func Unmount(at string) error {
	for {
		err := unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		switch {
		case err == nil:
		case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT):
			return nil
		default:
			return fmt.Errorf("unmount %s: %w", at, err)
		}
	}
}

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/reserve"
	"github.com/rootless-pod/pod/internal/shellword"
)

func storeChecks() []Check {
	return []Check{
		{"config", "containers.conf, storage.conf and registries.conf can be read", checkConfig},
		{"graphroot", "the file system of the store: network, read-only, noexec, user.* attributes", checkGraphRoot},
		{"space", "free space and inodes where the store is", checkSpace},
		{"state", "pod's records: readable, consistent, with their reserve", checkState},
		{"store", "images and layers: lists, files, and that the store opens", checkStore},
	}
}

func checkConfig(_ context.Context, h *Host) Result {
	if h.ConfigErr != nil {
		return fail("cannot be used").because("%v", h.ConfigErr).mend("mend the file that the cause names; defaults are in /usr/share/containers")
	}
	return ok("readable")
}

func checkGraphRoot(_ context.Context, h *Host) Result {
	if h.GraphRoot == "" {
		return skip("the place of the store is not known")
	}
	dir := h.existing(h.GraphRoot)
	info, err := h.Kernel.Statfs(dir)
	if err != nil {
		return fail("%s", dir).because("%s", errOf(err)).mend("use another directory: graphroot in storage.conf, or --root")
	}
	where := fmt.Sprintf("%s on %s", h.GraphRoot, info.Type)
	const elsewhere = "use a directory on a local ext4, xfs or btrfs: graphroot in storage.conf, or --root"
	st, statErr := h.Kernel.Stat(dir)
	switch {
	case has(info.Flags, "ro"):
		return fail("%s, read-only", where).because("images and containers cannot be written").mend(elsewhere)
	case has(info.Flags, "noexec"):
		return fail("%s, mounted noexec", where).because("programs of containers cannot be executed").
			mend("as root: mount -o remount,exec the file system of %s; or %s", dir, elsewhere)
	case statErr == nil && dir == h.GraphRoot && st.UID != h.UID && !h.Inside:
		return fail("%s belongs to uid %d", h.GraphRoot, st.UID).because("it is another user's store").
			mend("as root: chown it to %s, if it is meant to be his; or use another one: --root", h.User)
	}
	if w := h.Kernel.Writable(dir); w != nil {
		return fail("%s cannot be written to", dir).because("%s", errOf(w)).mend(elsewhere)
	}
	switch info.Type {
	case "nfs", "cifs", "smb2", "9p", "ceph", "afs", "coda", "vboxsf", "gpfs", "lustre":
		return fail("%s", where).because("a network file system does not let a user's namespace give files to sub-ids").mend(elsewhere)
	case "ecryptfs":
		return warn("%s", where).because("it allows only short file names; images with longer ones cannot be unpacked").mend(elsewhere)
	case "overlayfs":
		return warn("%s", where).because("the kernel stacks no further overlay on it with rights of a user").mend(elsewhere)
	}
	if err := h.Kernel.UserXattr(dir); err != nil {
		return warn("%s, without attributes user.*", where).because("%s: overlay of a user keeps its marks there", errOf(err)).mend(elsewhere)
	}
	if has(info.Flags, "nosuid") {
		return warn("%s, mounted nosuid", where).because("setuid programs of images, such as sudo and ping, have no effect").
			mend("as root: mount -o remount,suid the file system of %s; or %s", dir, elsewhere)
	}
	switch {
	case info.Type == "tmpfs" || info.Type == "ramfs":
		return warn("%s", where).because("images and containers are gone after a reboot, and take memory").mend(elsewhere)
	case h.UID == 0 && has(info.Flags, "nodev"):
		return warn("%s, mounted nodev", where).because("devices in images have no effect").mend("mount -o remount,dev the file system of %s", dir)
	}
	return ok("%s", where)
}

func checkSpace(_ context.Context, h *Host) Result {
	if h.GraphRoot == "" {
		return skip("the place of the store is not known")
	}
	dir := h.existing(h.GraphRoot)
	info, err := h.Kernel.Statfs(dir)
	if err != nil {
		return skip("%s: %s", dir, errOf(err))
	}
	text := size(info.Free) + " free"
	if info.Inodes > 0 {
		text += fmt.Sprintf(", %d%% of the inodes", info.FreeInodes*100/info.Inodes)
	}
	const remedy = "free some; `pod system df` shows what pod uses, `pod system prune` removes what is unused"
	switch {
	case info.Free < 64<<20 || info.Inodes > 0 && info.FreeInodes < 1000:
		return fail("%s", text).because("little more can be written").mend(remedy)
	case info.Free < 1<<30 || info.Inodes > 0 && info.FreeInodes < 50_000 && info.FreeInodes*20 < info.Inodes:
		return warn("%s", text).because("an image or two may fill it").mend(remedy)
	}
	return ok("%s", text)
}

func size(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MB", n>>20)
}

func checkState(ctx context.Context, h *Host) Result {
	if h.GraphRoot == "" {
		return skip("the place of the store is not known")
	}
	dir := filepath.Join(h.GraphRoot, "pod")
	file := filepath.Join(dir, "state.db")
	if _, err := h.Kernel.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return skip("no containers yet")
	}
	if st, err := h.Kernel.Stat(dir); err == nil && st.Mode&0o077 != 0 {
		return warn("%s is open to others (mode %04o)", dir, st.Mode&0o7777).because("records hold environments, and so secrets").
			asUser("chmod 700 " + shellword.Quote(dir))
	}
	if err := h.Kernel.QuickCheck(ctx, h.GraphRoot); err != nil {
		return fail("%s is damaged or cannot be read", file).because("%v", err).
			mend("move %s and its -wal and -shm away, or put back a copy; images stay, and `pod system reset` starts anew", file)
	}
	if _, err := h.Kernel.Stat(reserve.Last(h.GraphRoot)); err != nil {
		return warn("consistent, but without its reserve").
			because("the disk was full: containers might not be removable when it is again").
			mend("free some space; the next `pod create` makes the reserve again")
	}
	return ok("consistent")
}

// layer and image are what a check reads of the library's lists.
type listed struct {
	ID     string `json:"id"`
	Parent string `json:"parent"`
	Layer  string `json:"layer"`
}

func (h *Host) list(path string) ([]listed, error) {
	data, err := os.ReadFile(filepath.Join(h.Root, path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []listed
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func checkStore(ctx context.Context, h *Host) Result {
	if h.GraphRoot == "" {
		return skip("the place of the store is not known")
	}
	drivers := []string{"overlay", "vfs", "btrfs", "zfs"}
	i := slices.IndexFunc(drivers, func(d string) bool { return h.exists(filepath.Join(h.GraphRoot, d+"-layers", "layers.json")) })
	if i < 0 {
		return skip("no images yet")
	}
	driver := drivers[i]
	const remedy = "pull the image again, or remove what is damaged: pod rmi --force; at the worst `pod system reset`"
	layers, err := h.list(filepath.Join(h.GraphRoot, driver+"-layers", "layers.json"))
	if err != nil {
		return fail("the list of layers cannot be read").because("%v", err).mend("put back a copy of it; at the worst `pod system reset`")
	}
	images, err := h.list(filepath.Join(h.GraphRoot, driver+"-images", "images.json"))
	if err != nil {
		return fail("the list of images cannot be read").because("%v", err).mend("put back a copy of it; at the worst `pod system reset`")
	}
	known := map[string]bool{}
	for _, l := range layers {
		known[l.ID] = true
	}
	for _, l := range layers {
		if l.Parent != "" && !known[l.Parent] {
			return fail("layer %.12s is built on %.12s, which is gone", l.ID, l.Parent).because("images with that layer cannot be used").mend(remedy)
		}
		if driver == "overlay" && !h.exists(filepath.Join(h.GraphRoot, "overlay", l.ID)) {
			return fail("the files of layer %.12s are gone", l.ID).because("images with that layer cannot be used").mend(remedy)
		}
	}
	for _, img := range images {
		if img.Layer != "" && !known[img.Layer] {
			return fail("image %.12s has lost its layer %.12s", img.ID, img.Layer).because("it cannot be used").mend(remedy)
		}
	}
	found := fmt.Sprintf("%d images, %d layers (%s)", len(images), len(layers), driver)
	if h.UID != 0 && h.trial(ctx).Err != nil {
		return ok("%s; not opened without user namespaces", found)
	}
	if err := h.Kernel.OpenStore(ctx); err != nil {
		return fail("%s, but the store does not open", found).because("%s", strings.TrimPrefix(err.Error(), "Error: ")).mend("the cause names it")
	}
	return ok("%s; opens", found)
}

// typeName is the name of a file system's magic number (statfs(2)).
func typeName(magic int64) string {
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
		unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "nfs", 0xff534d42: "cifs",
		0xfe534d42: "smb2", unix.V9FS_MAGIC: "9p", unix.FUSE_SUPER_MAGIC: "fuse", unix.ECRYPTFS_SUPER_MAGIC: "ecryptfs",
		unix.F2FS_SUPER_MAGIC: "f2fs", 0x2fc12fc1: "zfs", unix.CEPH_SUPER_MAGIC: "ceph", unix.AFS_SUPER_MAGIC: "afs",
		0x73757245: "coda", 0x786f4256: "vboxsf", 0x47504653: "gpfs", 0x0bd00bd0: "lustre", 0xca451a4e: "bcachefs",
	}
	if name := names[magic]; name != "" {
		return name
	}
	return fmt.Sprintf("type %#x", magic)
}

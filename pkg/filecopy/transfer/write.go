package transfer

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/buildah/copier"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/filecopy"
)

// maxSpecial bounds what is read of a file that says it is empty.
const maxSpecial = 16 << 20

// get writes the content of a directory as an archive. It runs in a child whose
// root is the directory: there is no way out of it. Owners are written as the
// container numbers them, or already as the new ones.
func (j *job) get(dir *os.File, w io.Writer, keep bool) error {
	opts := copier.GetOptions{
		NoDerefSymlinks: true, IgnoreUnreadable: os.Geteuid() == 0 && j.from.Running,
		StripXattrs: j.to.isHost() && !keep,
	}
	if sameFile(dir, j.from.Root) {
		opts.Excludes = []string{"dev", "proc", "sys"}
	}
	if j.owner != nil && !keep {
		pair := idtools.IDPair{UID: j.owner.UID, GID: j.owner.GID}
		opts.ChownDirs, opts.ChownFiles = &pair, &pair
	} else {
		opts.UIDMap, opts.GIDMap = toIDMap(j.from.Maps.UID), toIDMap(j.from.Maps.GID)
	}
	if j.to.isHost() && !keep {
		opts.StripSetuidBit, opts.StripSetgidBit = true, true
	}
	root := fdPath(dir)
	return plainError("read the directory", copier.Get(root, root, opts, []string{"."}, w))
}

// put unpacks an archive into a directory, in a child whose root it is.
func (j *job) put(dir *os.File, r io.Reader) error {
	opts := copier.PutOptions{
		// Device files need a privilege that no user has, and are no data.
		IgnoreDevices: true, NoOverwriteDirNonDir: !j.Overwrite, NoOverwriteNonDirDir: !j.Overwrite,
		IgnoreXattrErrors: true, StripXattrs: j.to.isHost(),
		StripSetuidBit: j.to.isHost(), StripSetgidBit: j.to.isHost(), CreateDestPath: types.OptionalBoolFalse,
	}
	if j.owner != nil {
		pair := idtools.IDPair{UID: j.owner.UID, GID: j.owner.GID}
		opts.ChownDirs, opts.ChownFiles, opts.DefaultDirOwner = &pair, &pair, &pair
	} else {
		opts.UIDMap, opts.GIDMap = toIDMap(j.to.Maps.UID), toIDMap(j.to.Maps.GID)
	}
	root := fdPath(dir)
	return plainError("write into the directory", copier.Put(root, root, opts, r))
}

func removeTree(parent *os.File, name string) error {
	root := fdPath(parent)
	return plainError("remove", copier.Remove(root, root+"/"+name, copier.RemoveOptions{All: true}))
}

// plainError takes the handle's path, which says nothing to a user, from an
// error of the copier.
func plainError(what string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errUnread) {
		return errUnread
	}
	return fmt.Errorf("%s: %s", what, strings.TrimSpace(err.Error()))
}

func toIDMap(maps []rspec.LinuxIDMapping) []idtools.IDMap {
	var out []idtools.IDMap
	for _, m := range maps {
		out = append(out, idtools.IDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)})
	}
	return out
}

// newOwner is who gets a copy of src.
func (j *job) newOwner(src *source) (ids, error) {
	if j.owner != nil {
		return *j.owner, nil
	}
	uid, err := filecopy.Outer(j.to.Maps.UID, uint32(inner(j.from.Maps.UID, src.st.Uid))) //nolint:gosec // was one
	if err != nil {
		return ids{}, err
	}
	gid, err := filecopy.Outer(j.to.Maps.GID, uint32(inner(j.from.Maps.GID, src.st.Gid))) //nolint:gosec // was one
	return ids{int(uid), int(gid)}, err
}

// newMode is the mode of a copy. On the host nothing that came out of a
// container takes on its owner's identity.
func (j *job) newMode(src *source) uint32 {
	if j.to.isHost() {
		return src.st.Mode & 0o1777
	}
	return src.st.Mode & 0o7777
}

// makeDir makes the directory at a free target, like src.
func (j *job) makeDir(src *source, dst *target) error {
	owner, err := j.newOwner(src)
	if err != nil {
		return err
	}
	if err := unix.Mkdirat(int(dst.parent.Fd()), dst.leaf, 0o700); err != nil {
		return fmt.Errorf("make directory %s: %w", dst.path, err)
	}
	fd, err := unix.Openat(int(dst.parent.Fd()), dst.leaf, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open directory %s: %w", dst.path, err)
	}
	dst.dir = os.NewFile(uintptr(fd), dst.path)
	if err := unix.Fchown(fd, owner.UID, owner.GID); err != nil {
		return fmt.Errorf("change owner of %s: %w", dst.path, err)
	}
	if err := unix.Fchmod(fd, j.newMode(src)); err != nil {
		return fmt.Errorf("change mode of %s: %w", dst.path, err)
	}
	return nil
}

// writeFile makes a file like src at a target that is no directory. What stands
// there is replaced at once; where that cannot be, because it is a mount, its
// content is.
func (j *job) writeFile(in *os.File, src *source, dst *target) error {
	owner, err := j.newOwner(src)
	if err != nil {
		return err
	}
	parent := int(dst.parent.Fd())
	var unique [6]byte
	if _, err := rand.Read(unique[:]); err != nil {
		return err
	}
	tmp := ".pod-cp-" + hex.EncodeToString(unique[:])
	fd, err := unix.Openat(parent, tmp, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", dst.path, err)
	}
	out := os.NewFile(uintptr(fd), tmp)
	err = j.fill(out, in, src, owner)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = unix.Renameat(parent, tmp, parent, dst.leaf)
	}
	if err == nil {
		return nil
	}
	_ = unix.Unlinkat(parent, tmp, 0) // the first error is what matters
	if errors.Is(err, unix.EBUSY) && dst.st.Mode&unix.S_IFMT == unix.S_IFREG {
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("read %s: %w", src.path, err)
		}
		return dst.overwrite(in)
	}
	return fmt.Errorf("write %s: %w", dst.path, cause(err))
}

// fill gives a new file content, attributes, owner, mode and times of src.
func (j *job) fill(out, in *os.File, src *source, owner ids) error {
	var content io.Reader = in
	if src.st.Size > 0 { // a file that grows for ever must not be followed
		content = io.LimitReader(in, src.st.Size)
	}
	if _, err := io.Copy(out, content); err != nil {
		return err
	}
	fd := int(out.Fd())
	if err := unix.Fchown(fd, owner.UID, owner.GID); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, j.newMode(src)); err != nil {
		return err
	}
	if !j.to.isHost() {
		copyXattrs(in, out)
	}
	modified := time.Unix(src.st.Mtim.Unix())
	times := []unix.Timeval{unix.NsecToTimeval(time.Now().UnixNano()), unix.NsecToTimeval(modified.UnixNano())}
	return unix.Futimes(fd, times)
}

// copyXattrs copies the user's attributes and file capabilities, as far as the
// file system takes them.
func copyXattrs(in, out *os.File) {
	buf := make([]byte, 64<<10)
	n, err := unix.Flistxattr(int(in.Fd()), buf)
	if err != nil || n == 0 {
		return
	}
	value := make([]byte, 64<<10)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		if name != "security.capability" && (!strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "user.overlay.")) {
			continue
		}
		if size, err := unix.Fgetxattr(int(in.Fd()), name, value); err == nil {
			_ = unix.Fsetxattr(int(out.Fd()), name, value[:size], 0)
		}
	}
}

// stream writes to a device or FIFO of the host.
func (t *target) stream(in io.Reader) error {
	fd, err := unix.Openat(int(t.parent.Fd()), t.leaf, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	return t.pour(fd, err, in)
}

// overwrite replaces the content of a file.
func (t *target) overwrite(in io.Reader) error {
	fd, err := unix.Openat(int(t.parent.Fd()), t.leaf, unix.O_WRONLY|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	return t.pour(fd, err, in)
}

func (t *target) pour(fd int, err error, in io.Reader) error {
	if err != nil {
		return fmt.Errorf("write %s: %w", t.path, err)
	}
	out := os.NewFile(uintptr(fd), t.path)
	_, err = io.Copy(out, in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", t.path, cause(err))
	}
	return nil
}

// Archive writes a whole root file system as an archive, in a child whose root
// it is; owners are those of the container of place.
func (Files) Archive(root string, place *filecopy.Place, w io.Writer) error {
	opts := copier.GetOptions{
		NoDerefSymlinks: true, IgnoreUnreadable: os.Geteuid() == 0 && place.Running,
		UIDMap: toIDMap(place.Maps.UID), GIDMap: toIDMap(place.Maps.GID),
	}
	return plainError("read the file system", copier.Get(root, root, opts, []string{"."}, w))
}

// Unpack unpacks an archive into a directory, in a child whose root that is. What the
// archive does not have stays.
func (Files) Unpack(root string, r io.Reader) error {
	return plainError("write into the directory", copier.Put(root, root, copier.PutOptions{IgnoreDevices: true, IgnoreXattrErrors: true}, r))
}

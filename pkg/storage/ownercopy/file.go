package ownercopy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// small files are read and written in one piece: cheaper than copy_file_range,
// which pays for splicing. It is the buffer of a thread too.
const small = 64 << 10

// maxXattr is the longest value there is (XATTR_SIZE_MAX).
const maxXattr = 64 << 10

// files copies the entries of one directory; each thread has one.
type files struct {
	*copying

	buf []byte
	// dir is the directory, in and out are it and its copy.
	dir     string
	in, out int
}

func (f *files) entries(names []string) error {
	for i, name := range names {
		if i%64 == 0 && f.failed() {
			return nil
		}
		if err := f.entry(name); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(f.dir, name), err)
		}
	}
	return nil
}

func (c *copying) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil
}

func (f *files) entry(name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(f.in, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	rel := filepath.Join(f.dir, name)
	kind := st.Mode & unix.S_IFMT
	if kind == unix.S_IFDIR {
		if err := unix.Mkdirat(f.out, name, 0o700); err != nil {
			return err
		}
		f.madeDir(rel)
		return nil
	}
	f.files.Add(1)
	if f.Link {
		return unix.Linkat(f.in, name, f.out, name, 0)
	}
	if st.Nlink > 1 && !f.first(&st, rel) {
		return nil
	}
	switch kind {
	case unix.S_IFREG:
		return f.regular(name, &st)
	case unix.S_IFLNK:
		return f.symlink(name, &st)
	default:
		// A whiteout is a device 0:0, which users may make too.
		if err := unix.Mknodat(f.out, name, st.Mode, int(st.Rdev)); err != nil {
			return err
		}
		if err := f.ownerOf(name, &st); err != nil {
			return err
		}
		if err := unix.Fchmodat(f.out, name, st.Mode&0o7777, 0); err != nil {
			return err
		}
		return f.times(name, &st)
	}
}

func (f *files) symlink(name string, st *unix.Stat_t) error {
	n, err := unix.Readlinkat(f.in, name, f.buf)
	if err != nil {
		return err
	}
	if err := unix.Symlinkat(string(f.buf[:n]), f.out, name); err != nil {
		return err
	}
	if err := f.ownerOf(name, st); err != nil {
		return err
	}
	return f.times(name, st)
}

// ownerOf sets the owner of what has no descriptor.
func (f *files) ownerOf(name string, st *unix.Stat_t) error {
	uid, gid := f.owner(st)
	return unix.Fchownat(f.out, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW)
}

func (f *files) times(name string, st *unix.Stat_t) error {
	return unix.UtimesNanoAt(f.out, name, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

func (c *copying) owner(st *unix.Stat_t) (uid, gid uint32) {
	if c.Owner == nil {
		return st.Uid, st.Gid
	}
	return c.Owner(st.Uid, st.Gid)
}

func (f *files) regular(name string, st *unix.Stat_t) error {
	in, err := unix.Openat(f.in, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(in) //nolint:errcheck // it was only read
	out, err := unix.Openat(f.out, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, st.Mode&0o777)
	if err != nil {
		return err
	}
	err = f.data(in, out, st)
	if err == nil {
		err = f.complete(in, out, st)
	}
	if err := errors.Join(err, unix.Close(out)); err != nil {
		return err
	}
	return f.times(name, st)
}

// complete gives a copy the owner, the extended attributes and the mode, in this
// order: a change of owner takes capabilities and set-id bits away.
func (c *copying) complete(in, out int, st *unix.Stat_t) error {
	uid, gid := c.owner(st)
	if err := unix.Fchown(out, int(uid), int(gid)); err != nil {
		return err
	}
	if err := c.xattrs(in, out); err != nil {
		return err
	}
	return unix.Fchmod(out, st.Mode&0o7777) // that of open is under the umask
}

// data copies what is in a file, or has the file system share it.
func (f *files) data(in, out int, st *unix.Stat_t) error {
	if st.Size == 0 {
		return nil
	}
	if !f.noShare.Load() {
		err := unix.IoctlFileClone(out, in)
		if err == nil {
			f.shared.Add(1)
			return nil
		}
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO) {
			return err
		}
		f.noShare.Store(true)
	}
	if st.Size <= small {
		return f.whole(in, out, st.Size)
	}
	return f.ranges(in, out, st.Size)
}

// whole copies a small file, or a range of one from where both are.
func (f *files) whole(in, out int, size int64) error {
	for size > 0 {
		n, err := unix.Read(in, f.buf[:min(size, small)])
		if err != nil {
			return err
		}
		if n == 0 {
			return errShort
		}
		for rest := f.buf[:n]; len(rest) > 0; {
			written, err := unix.Write(out, rest)
			if err != nil {
				return err
			}
			rest = rest[written:]
		}
		size -= int64(n)
	}
	return nil
}

var errShort = errors.New("the file is shorter than it was")

// ranges copies a large file and leaves its holes.
func (f *files) ranges(in, out int, size int64) error {
	if err := unix.Ftruncate(out, size); err != nil {
		return err
	}
	for at := int64(0); at < size; {
		begin, err := unix.Seek(in, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // only a hole is left
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(in, begin, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := f.span(in, out, begin, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// span copies a range.
func (f *files) span(in, out int, begin, end int64) error {
	for begin < end {
		if f.failed() {
			return nil
		}
		from, to := begin, begin
		n, err := unix.CopyFileRange(in, &from, out, &to, int(min(end-begin, 16<<20)), 0)
		if err == nil && n > 0 {
			begin += int64(n)
			continue
		}
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO) {
			return err
		}
		for _, fd := range []int{in, out} {
			if _, err := unix.Seek(fd, begin, unix.SEEK_SET); err != nil {
				return err
			}
		}
		return f.whole(in, out, end-begin)
	}
	return nil
}

// xattrs copies extended attributes. What overlay notes about where a file came
// from is void in a lower layer, and labels are the mount's.
func (c *copying) xattrs(in, out int) error {
	var list [4096]byte
	n, err := unix.Flistxattr(in, list[:])
	names := list[:max(n, 0)]
	switch {
	case errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil:
		return nil
	case errors.Is(err, unix.ERANGE):
		names = make([]byte, maxXattr)
		if n, err = unix.Flistxattr(in, names); err != nil {
			return err
		}
		names = names[:n]
	case err != nil:
		return err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		_, overlay, _ := strings.Cut(name, ".overlay.")
		if name == "security.selinux" || overlay == "origin" || overlay == "impure" || overlay == "uuid" {
			continue
		}
		value := make([]byte, maxXattr)
		n, err := unix.Fgetxattr(in, name, value)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOVERFLOW) {
			continue // EOVERFLOW: capabilities for another user namespace
		}
		if err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
		value = value[:n]
		if strings.HasPrefix(name, "system.posix_acl_") {
			c.mapACL(value)
		}
		if err := unix.Fsetxattr(out, name, value, 0); err != nil {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return nil
}

// mapACL gives the users and groups that an ACL names their ids in the copy: after
// a header of 4 bytes it has entries of a tag (2), permissions (2) and an id (4).
func (c *copying) mapACL(acl []byte) {
	if c.Owner == nil {
		return
	}
	const user, group = 0x02, 0x08
	for at := 4; at+8 <= len(acl); at += 8 {
		id := acl[at+4 : at+8]
		uid, gid := c.Owner(binary.LittleEndian.Uint32(id), binary.LittleEndian.Uint32(id))
		switch binary.LittleEndian.Uint16(acl[at:]) {
		case user:
			binary.LittleEndian.PutUint32(id, uid)
		case group:
			binary.LittleEndian.PutUint32(id, gid)
		}
	}
}

package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// Write archives the directory. Files are read through handles of the directories they
// are in: a link that takes a directory's place meanwhile leads nowhere. With
// about.Live files may change while they are read; else that is an error.
func Write(w io.Writer, dir string, about About) error {
	about.Format = format
	pressed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest)) // a third of the time, for little room
	if err != nil {
		return fmt.Errorf("begin the archive: %w", err)
	}
	j := &writing{tar: tar.NewWriter(pressed), live: about.Live, buffer: make([]byte, 1<<18), seen: map[inode]Name{}}
	err = j.all(dir, about)
	if err == nil {
		err = j.tar.Close()
	}
	// Also after an error: the encoder has goroutines.
	if closeErr := pressed.Close(); err == nil {
		err = closeErr
	}
	return err
}

// inode tells files apart.
type inode struct{ dev, ino uint64 }

// writing is an archive that is being written.
type writing struct {
	tar      *tar.Writer
	live     bool
	buffer   []byte
	seen     map[inode]Name // files with several names, by the first
	manifest []byte
}

func (j *writing) all(dir string, about About) error {
	if err := j.document(aboutName, about); err != nil {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	top := os.NewFile(uintptr(fd), dir)
	defer top.Close()
	if err := j.directory(top, "."); err != nil {
		return err
	}
	return j.raw(manifestName, j.manifest)
}

func (j *writing) document(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return j.raw(name, append(data, '\n'))
}

func (j *writing) raw(name string, data []byte) error {
	if err := j.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	if _, err := j.tar.Write(data); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

// directory writes an open directory and what is in it, in the order of names.
func (j *writing) directory(dir *os.File, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	e := entryFrom(path, "dir", &st)
	var err error
	if e.Xattrs, err = fdXattrs(int(dir.Fd())); err != nil {
		return fmt.Errorf("read attributes of %s: %w", path, err)
	}
	if err := j.entry(e); err != nil {
		return err
	}
	inside, err := dir.ReadDir(-1) // with the types, so that files need no question more
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	slices.SortFunc(inside, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, found := range inside {
		below := found.Name()
		if path != "." {
			below = path + "/" + below
		}
		if found.Type().IsRegular() {
			err = j.file(dir, found.Name(), below)
		} else {
			err = j.child(dir, found.Name(), below)
		}
		if errors.Is(err, unix.ENOENT) && j.live {
			continue // it went away
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// child writes what a directory has by this name, if that is no regular file.
func (j *writing) child(dir *os.File, name, path string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	kind := kindOf(st.Mode)
	switch kind {
	case "": // a socket is nothing without who made it
		return nil
	case "file": // it became one
		return j.file(dir, name, path)
	case "dir":
		inner, err := openIn(dir, name, unix.O_DIRECTORY)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		defer inner.Close()
		return j.directory(inner, path)
	}
	e := entryFrom(path, kind, &st)
	if again, err := j.again(e, &st); again || err != nil {
		return err
	}
	if kind == "link" {
		target, err := readLink(dir, name, st.Size)
		if err != nil {
			return fmt.Errorf("read link %s: %w", path, err)
		}
		e.Link = Name(target)
	}
	var err error
	at := fdPath(dir) + "/" + name
	if e.Xattrs, err = xattrs(func(to []byte) (int, error) { return unix.Llistxattr(at, to) }, func(key string, to []byte) (int, error) { return unix.Lgetxattr(at, key, to) }); err != nil {
		return fmt.Errorf("read attributes of %s: %w", path, err)
	}
	return j.entry(e)
}

// again writes a further name of a file that was written before.
func (j *writing) again(e *Entry, st *unix.Stat_t) (bool, error) {
	if st.Nlink < 2 {
		return false, nil
	}
	id := inode{st.Dev, st.Ino}
	first, ok := j.seen[id]
	if !ok {
		j.seen[id] = e.Path
		return false, nil
	}
	e.Type, e.Link, e.Size = "hardlink", first, 0
	return true, j.entry(e)
}

func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "dir"
	case unix.S_IFREG:
		return "file"
	case unix.S_IFLNK:
		return "link"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFCHR:
		return "char"
	case unix.S_IFBLK:
		return "block"
	}
	return ""
}

// file writes a regular file.
func (j *writing) file(dir *os.File, name, path string) error {
	fd, err := openAt(dir, name, unix.O_NONBLOCK)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("read %s: it became another kind of file", path)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = unix.Close(fd) }() // it was read only
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if kindOf(st.Mode) != "file" {
		return fmt.Errorf("read %s: it became another kind of file", path)
	}
	e := entryFrom(path, "file", &st)
	if again, err := j.again(e, &st); again || err != nil {
		return err
	}
	e.Sparse = st.Blocks*512 < st.Size && st.Size > 4096
	if e.Xattrs, err = fdXattrs(fd); err != nil {
		return fmt.Errorf("read attributes of %s: %w", path, err)
	}
	if err := j.tar.WriteHeader(e.header()); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	sum := sha256.New()
	read, err := j.copy(fd, sum, st.Size)
	if err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	if err := j.checkSame(fd, &st, e, read); err != nil {
		return err
	}
	if missing := st.Size - read; missing > 0 { // it shrank under a live backup
		if _, err := io.CopyBuffer(io.MultiWriter(j.tar, sum), onlyReader{io.LimitReader(zeros{}, missing)}, j.buffer); err != nil {
			return fmt.Errorf("copy %s: %w", path, err)
		}
	}
	e.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return j.note(e)
}

// copy copies up to size bytes of an open file. It reads the descriptor itself: there
// may be very many files, and the runtime's poller has no use for them.
func (j *writing) copy(fd int, sum hash.Hash, size int64) (done int64, err error) {
	for done < size {
		n, err := unix.Read(fd, j.buffer[:min(int64(len(j.buffer)), size-done)])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return done, err
		}
		sum.Write(j.buffer[:n])
		if _, err := j.tar.Write(j.buffer[:n]); err != nil {
			return done, err
		}
		done += int64(n)
	}
	return done, nil
}

// checkSame finds that a file was changed while it was read.
func (j *writing) checkSame(fd int, before *unix.Stat_t, e *Entry, read int64) error {
	if j.live {
		return nil
	}
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	if read != before.Size || now.Size != before.Size || now.Mtim != before.Mtim {
		return fmt.Errorf("%s was changed while it was read, though no container could: something on the host writes to the volume: end that, or use --live", e.Path)
	}
	return nil
}

// onlyReader keeps CopyBuffer from going round the buffer.
type onlyReader struct{ io.Reader }

// zeros is a source of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// entry writes what has no content.
func (j *writing) entry(e *Entry) error {
	if err := j.tar.WriteHeader(e.header()); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return j.note(e)
}

func (j *writing) note(e *Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the manifest: %w", err)
	}
	j.manifest = append(append(j.manifest, line...), '\n')
	return nil
}

func entryFrom(path, kind string, st *unix.Stat_t) *Entry {
	e := &Entry{
		Path: Name(path), Type: kind, Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid), MTime: st.Mtim.Nano(),
	}
	switch kind {
	case "file":
		e.Size = st.Size
	case "char", "block":
		e.Major, e.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	}
	return e
}

func openAt(dir *os.File, name string, flags int) (int, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NOATIME|flags, 0)
	if errors.Is(err, unix.EPERM) { // only who owns a file may leave its access time alone
		fd, err = unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0)
	}
	return fd, err
}

func openIn(dir *os.File, name string, flags int) (*os.File, error) {
	fd, err := openAt(dir, name, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func readLink(dir *os.File, name string, size int64) (string, error) {
	for length := size + 1; ; length *= 2 {
		buffer := make([]byte, length)
		n, err := unix.Readlinkat(int(dir.Fd()), name, buffer)
		if err != nil {
			return "", err
		}
		if int64(n) < length {
			return string(buffer[:n]), nil
		}
	}
}

func fdPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// fdXattrs reads the attributes of what is open.
func fdXattrs(fd int) (map[string][]byte, error) {
	return xattrs(func(to []byte) (int, error) { return unix.Flistxattr(fd, to) }, func(key string, to []byte) (int, error) { return unix.Fgetxattr(fd, key, to) })
}

// xattrs reads the attributes that are a file's own.
func xattrs(list func([]byte) (int, error), get func(string, []byte) (int, error)) (map[string][]byte, error) {
	size, err := list(nil)
	if errors.Is(err, unix.ENOTSUP) || (err == nil && size == 0) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]byte, size)
	if size, err = list(names); err != nil {
		return nil, err
	}
	var out map[string][]byte
	for name := range strings.SplitSeq(strings.Trim(string(names[:size]), "\x00"), "\x00") {
		if !kept(name) {
			continue
		}
		value := make([]byte, 1<<16) // the kernel's bound
		n, err := get(name, value)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = map[string][]byte{}
		}
		out[name] = slices.Clone(value[:n])
	}
	return out, nil
}

// kept says whether an attribute belongs to a file and not to the machine.
func kept(name string) bool {
	return strings.HasPrefix(name, "user.") || name == "security.capability" || strings.HasPrefix(name, "system.posix_acl_")
}

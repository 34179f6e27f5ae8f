package backup

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"go.podman.io/image/v5/pkg/compression"
	"golang.org/x/sys/unix"
)

const (
	maxAbout = 1 << 20
	maxLine  = 1 << 20
)

// Archive is a backup that is being read.
type Archive struct {
	About About

	plain io.ReadCloser
	tar   *tar.Reader
}

// Open reads the description of a backup.
func Open(r io.Reader) (*Archive, error) {
	plain, _, err := compression.AutoDecompress(r)
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	a := &Archive{plain: plain, tar: tar.NewReader(plain)}
	if err := a.describe(); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	return a, nil
}

func (a *Archive) describe() error {
	h, err := a.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the archive is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the archive is truncated, or no archive: it ends in its first member")
	case err != nil:
		return fmt.Errorf("read the archive: %w: %w", err, errForeign)
	case h.Name != aboutName || h.Typeflag != tar.TypeReg || h.Size > maxAbout:
		return errForeign
	}
	data, err := io.ReadAll(a.tar)
	if err != nil {
		return broken(err)
	}
	if err := json.Unmarshal(data, &a.About); err != nil {
		return fmt.Errorf("%s: %w: %w", aboutName, err, errForeign)
	}
	if a.About.Format != format {
		return fmt.Errorf("the backup has format %d, this pod knows %d: use a newer pod", a.About.Format, format)
	}
	return nil
}

// Close ends the reading.
func (a *Archive) Close() error { return a.plain.Close() }

// broken says what went wrong with the stream.
func broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the archive is truncated: it ends before its manifest")
	}
	return fmt.Errorf("the archive is damaged: %w", err)
}

// Restore makes the files of the backup in a directory that is empty and nobody else
// sees, and compares each with the manifest. After an error what was made is worthless.
func (a *Archive) Restore(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	top := os.NewFile(uintptr(fd), dir)
	j := &restoring{top: top, files: map[Name]bool{}, buffer: make([]byte, 1<<18)}
	err = a.restore(j)
	for _, d := range j.open { // after an error; else there is none
		if d.file != top {
			_ = d.file.Close()
		}
	}
	return errors.Join(err, top.Close())
}

func (a *Archive) restore(j *restoring) error {
	for {
		h, err := a.tar.Next()
		if err != nil {
			return broken(err)
		}
		if h.Name == manifestName {
			if err := j.leave(0); err != nil {
				return err
			}
			return a.verify(j.made)
		}
		e, err := entryOf(h)
		if err != nil {
			return err
		}
		if err := j.make(e, a.tar); err != nil {
			return err
		}
	}
}

// verify compares what was made with the manifest, and reads the archive to its end,
// where its own checksum is.
func (a *Archive) verify(made [][]byte) error {
	lines := bufio.NewReaderSize(a.tar, 1<<16)
	for _, have := range made {
		line, err := readLine(lines)
		if err != nil {
			return err
		}
		if bytes.Equal(have, line) {
			continue // nearly always: it is the same program that writes both
		}
		var want, got Entry
		if err := errors.Join(json.Unmarshal(line, &want), json.Unmarshal(have, &got)); err != nil {
			return fmt.Errorf("the manifest is damaged: %w", err)
		}
		if !want.Equal(&got) {
			return fmt.Errorf("%s is not what the manifest says: the archive was changed", got.Path)
		}
	}
	if rest, err := lines.Peek(1); len(rest) > 0 || !errors.Is(err, io.EOF) {
		return errors.New("the manifest has files that the archive lacks: it was changed")
	}
	if h, err := a.tar.Next(); !errors.Is(err, io.EOF) {
		if err == nil {
			return fmt.Errorf("%q behind the manifest: the archive was changed", h.Name)
		}
		return broken(err)
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(a.plain, maxAbout)); err != nil {
		return broken(err)
	}
	return nil
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case errors.Is(err, bufio.ErrBufferFull) && len(line) < maxLine:
		case errors.Is(err, io.EOF):
			return nil, errors.New("the archive has files that its manifest lacks: it was changed")
		default:
			return nil, broken(err)
		}
	}
}

// restoring is a content that is being made.
type restoring struct {
	top    *os.File
	open   []*opened // the directories down to where entries come now
	files  map[Name]bool
	made   [][]byte
	buffer []byte
}

// opened is a directory whose entries are coming. It gets its mode and times after them.
type opened struct {
	path  string
	file  *os.File
	entry *Entry
}

// make makes one entry. Its directory is one that an entry before has made and whose
// other entries are still coming, as Write has them: so no path leads through a link.
func (j *restoring) make(e *Entry, content io.Reader) error {
	name, dir := path.Base(string(e.Path)), path.Dir(string(e.Path))
	if e.Path == "." {
		if len(j.open) > 0 || len(j.made) > 0 || e.Type != "dir" {
			return errForeign
		}
		j.open = append(j.open, &opened{".", j.top, e})
		return j.note(e)
	}
	if path.Clean(string(e.Path)) != string(e.Path) || path.IsAbs(string(e.Path)) || name == ".." || strings.HasPrefix(string(e.Path), "../") || strings.ContainsRune(string(e.Path), 0) {
		return fmt.Errorf("%q leads out of the volume: %w", e.Path, errForeign)
	}
	depth := len(j.open)
	for depth > 0 && j.open[depth-1].path != dir {
		depth--
	}
	if depth == 0 {
		return fmt.Errorf("%q is in no directory of the archive, or not in its order: %w", e.Path, errForeign)
	}
	if err := j.leave(depth); err != nil {
		return err
	}
	if err := j.create(j.open[depth-1].file, name, e, content); err != nil {
		return err
	}
	return j.note(e)
}

func (j *restoring) note(e *Entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode %s: %w", e.Path, err)
	}
	j.made = append(j.made, line)
	return nil
}

// leave finishes the open directories beyond the first ones.
func (j *restoring) leave(keep int) error {
	for len(j.open) > keep {
		last := j.open[len(j.open)-1]
		j.open = j.open[:len(j.open)-1]
		err := finish(last.file, last.entry)
		if last.file != j.top {
			err = errors.Join(err, last.file.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (j *restoring) create(dir *os.File, name string, e *Entry, content io.Reader) error {
	at := int(dir.Fd())
	switch e.Type {
	case "dir":
		if err := unix.Mkdirat(at, name, 0o700); err != nil {
			return fmt.Errorf("make directory %s: %w", e.Path, err)
		}
		inner, err := openIn(dir, name, unix.O_DIRECTORY)
		if err != nil {
			return fmt.Errorf("open directory %s: %w", e.Path, err)
		}
		j.open = append(j.open, &opened{string(e.Path), inner, e})
		return nil
	case "file":
		j.files[e.Path] = true
		return j.file(dir, name, e, content)
	case "hardlink":
		if !j.files[e.Link] {
			return fmt.Errorf("%q is a hard link to %q, which is no file before it: %w", e.Path, e.Link, errForeign)
		}
		if err := unix.Linkat(int(j.top.Fd()), string(e.Link), at, name, 0); err != nil {
			return fmt.Errorf("link %s to %s: %w", e.Path, e.Link, err)
		}
		return nil // it has the other's attributes
	case "link":
		if err := unix.Symlinkat(string(e.Link), at, name); err != nil {
			return fmt.Errorf("make link %s: %w", e.Path, err)
		}
	default:
		if err := special(at, name, e); err != nil {
			return err
		}
	}
	j.files[e.Path] = true
	return j.dress(at, name, e)
}

func special(at int, name string, e *Entry) error {
	kind := map[string]uint32{"fifo": unix.S_IFIFO, "char": unix.S_IFCHR, "block": unix.S_IFBLK}[e.Type]
	dev := unix.Mkdev(uint32(e.Major), uint32(e.Minor))                  //nolint:gosec // what the kernel makes of it
	if err := unix.Mknodat(at, name, kind|0o600, int(dev)); err != nil { //nolint:gosec // as above
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("make device %s: %w: only real root can", e.Path, err)
		}
		return fmt.Errorf("make %s: %w", e.Path, err)
	}
	return nil
}

// dress gives what was not opened its owner, mode, attributes and times.
func (j *restoring) dress(at int, name string, e *Entry) error {
	if err := unix.Fchownat(at, name, e.UID, e.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return owner(e, err)
	}
	if e.Type != "link" {
		if err := unix.Fchmodat(at, name, e.Mode, 0); err != nil {
			return fmt.Errorf("set mode of %s: %w", e.Path, err)
		}
	}
	for key, value := range e.Xattrs {
		if err := unix.Lsetxattr(fmt.Sprintf("/proc/self/fd/%d/%s", at, name), key, value, 0); err != nil {
			return fmt.Errorf("set attribute %s of %s: %w", key, e.Path, err)
		}
	}
	t := unix.NsecToTimespec(e.MTime)
	if err := unix.UtimesNanoAt(at, name, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set times of %s: %w", e.Path, err)
	}
	return nil
}

func owner(e *Entry, err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%s belongs to %d:%d, which your range of ids lacks: give the user more ids (/etc/subuid, /etc/subgid; `pod system migrate`)", e.Path, e.UID, e.GID)
	}
	return fmt.Errorf("set owner of %s: %w", e.Path, err)
}

// finish gives an open file or directory its owner, mode, attributes and times.
func finish(f *os.File, e *Entry) error {
	fd := int(f.Fd())
	if err := unix.Fchown(fd, e.UID, e.GID); err != nil {
		return owner(e, err)
	}
	if err := unix.Fchmod(fd, e.Mode); err != nil { // after chown, which takes bits away
		return fmt.Errorf("set mode of %s: %w", e.Path, err)
	}
	for key, value := range e.Xattrs { // as it takes capabilities
		if err := unix.Fsetxattr(fd, key, value, 0); err != nil {
			return fmt.Errorf("set attribute %s of %s: %w", key, e.Path, err)
		}
	}
	t := unix.NsecToTimespec(e.MTime)
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, fdPath(f), []unix.Timespec{t, t}, 0); err != nil {
		return fmt.Errorf("set times of %s: %w", e.Path, err)
	}
	return nil
}

func (j *restoring) file(dir *os.File, name string, e *Entry, content io.Reader) (err error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("make file %s: %w", e.Path, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	var to io.Writer = f
	if e.Sparse {
		to = &holes{file: f}
	}
	if _, err := io.CopyBuffer(io.MultiWriter(to, sum), onlyReader{content}, j.buffer); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return broken(err)
		}
		return fmt.Errorf("write %s: %w", e.Path, err)
	}
	if e.Sparse {
		if err := f.Truncate(e.Size); err != nil {
			return fmt.Errorf("write %s: %w", e.Path, err)
		}
	}
	e.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return finish(f, e)
}

// holes writes a file but for blocks of zeros.
type holes struct {
	file *os.File
	at   int64
}

const block = 4096

// Write writes at the end of what was written.
func (h *holes) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(block-int(h.at%block), len(p)-done)
		part := p[done : done+n]
		if !isZero(part) {
			if _, err := h.file.WriteAt(part, h.at); err != nil {
				return done, err
			}
		}
		done, h.at = done+n, h.at+int64(n)
	}
	return len(p), nil
}

func isZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

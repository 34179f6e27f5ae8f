package why

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// rootFS is Where in the image and what was written over it.
const rootFS = "root file system"

// maxLinks is how many links the kernel follows in a path.
const maxLinks = 40

// Tree is the root of a container and what must be known of it.
type Tree struct {
	// Root is an O_PATH handle. Running: it has the container's mounts; else
	// these are looked up in Mounts.
	Root    *os.File
	Running bool
	Mounts  []Mount
	// ReadOnly: the root file system is (--read-only).
	ReadOnly bool
	Rootless bool
	// UserUID and UserGID are the user's ids on the host.
	UserUID, UserGID uint32
	// RootOverride: root in this container has CAP_DAC_OVERRIDE.
	RootOverride bool
	Maps         Maps
}

// walker goes along one path.
type walker struct {
	*Tree
	access Access
	steps  []Step
	// dirs are the directories from the root to where it is.
	dirs  []dir
	links int
}

type dir struct {
	file  *os.File
	path  string
	step  int
	mount int
}

// walk notes each component of a path. All are opened one by one and without
// following a link, so that none leads out of the root.
func (t *Tree) walk(name string, a Access) (_ []Step, err error) {
	w := &walker{Tree: t, access: a}
	defer func() {
		for _, d := range w.dirs {
			if d.file != t.Root {
				err = errors.Join(err, d.file.Close())
			}
		}
	}()
	if err := w.describe(t.Root, Step{Path: "/", Mount: -1, Parent: -1}); err != nil {
		return nil, err
	}
	w.dirs = append(w.dirs, dir{file: t.Root, path: "/", mount: -1})
	return w.steps, w.along(name, 0)
}

// along walks a path from the root. depth counts interpreters.
func (w *walker) along(name string, depth int) error {
	rest := strings.Split(name, "/")
	for len(rest) > 0 {
		next := rest[0]
		rest = rest[1:]
		switch next {
		case "", ".":
			continue
		case "..":
			if len(w.dirs) > 1 {
				w.pop()
			}
			continue
		}
		more, err := w.into(next, len(rest) == 0)
		if err != nil || more == nil {
			return err
		}
		st := &w.steps[len(w.steps)-1]
		switch st.Kind {
		case Directory:
			w.dirs = append(w.dirs, dir{file: more, path: st.Path, step: len(w.steps) - 1, mount: st.Mount})
			continue // it stays open
		case Link:
			rest = w.follow(st, rest)
		default:
			err = w.arrive(more, rest, depth)
			rest = nil
		}
		if err := errors.Join(err, more.Close()); err != nil {
			return err
		}
	}
	return nil
}

// follow returns what is left of the path behind a link.
func (w *walker) follow(st *Step, rest []string) []string {
	if w.links++; w.links > maxLinks {
		w.steps = append(w.steps, Step{Path: st.Path, Kind: Loop, Mount: st.Mount, Parent: st.Parent})
		return nil
	}
	if strings.HasPrefix(st.Target, "/") {
		w.toRoot()
	}
	return append(strings.Split(st.Target, "/"), rest...)
}

// arrive is at a file, with which a path should end.
func (w *walker) arrive(f *os.File, rest []string, depth int) error {
	at := len(w.steps) - 1
	st := &w.steps[at]
	switch {
	case len(rest) > 0: // judged as no directory
		w.steps = append(w.steps, Step{Path: path.Join(st.Path, rest[0]), Kind: Missing, Mount: st.Mount, Parent: at})
	case w.access&Exec != 0 && st.Kind == File && depth < 2:
		return w.interpreter(f, at, depth)
	}
	return nil
}

func (w *walker) pop() {
	last := w.dirs[len(w.dirs)-1]
	last.file.Close()
	w.dirs = w.dirs[:len(w.dirs)-1]
}

func (w *walker) toRoot() {
	for len(w.dirs) > 1 {
		w.pop()
	}
}

// into opens a component and notes it. It returns no file where the walk ends.
func (w *walker) into(name string, final bool) (*os.File, error) {
	at := w.dirs[len(w.dirs)-1]
	st := Step{Path: path.Join(at.path, name), Mount: at.mount, Parent: at.step, Final: final}
	if len(w.dirs) == 1 {
		st.Parent = 0
	}
	for i := range w.Mounts {
		m := &w.Mounts[i]
		if below(st.Path, m.Destination) && (w.Running || st.Path == m.Destination) &&
			(st.Mount < 0 || len(m.Destination) >= len(w.Mounts[st.Mount].Destination)) {
			st.Mount = i
		}
	}
	var fd int
	var err error
	switch mounted := st.Mount != at.mount && !w.Running; {
	case mounted && w.Mounts[st.Mount].Dir != "":
		fd, err = unix.Open(w.Mounts[st.Mount].Dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	case mounted, !w.Running && st.Mount < 0 && (st.Path == "/proc" || st.Path == "/sys" || st.Path == "/dev"):
		st.Kind = Unmade
		w.steps = append(w.steps, st)
		return nil, nil
	default:
		fd, err = unix.Openat(int(at.file.Fd()), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		st.Kind, st.Where = Missing, err.Error()
		if !errors.Is(err, unix.ENOENT) {
			st.Kind = Hidden
		}
		w.steps = append(w.steps, st)
		return nil, nil
	}
	f := os.NewFile(uintptr(fd), st.Path)
	if err := w.describe(f, st); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func below(name, top string) bool {
	return name == top || top == "/" || strings.HasPrefix(name, top+"/")
}

// describe asks the kernel for what it would look at.
func (w *walker) describe(f *os.File, st Step) error {
	var sx unix.Statx_t
	if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &sx); err != nil {
		return fmt.Errorf("look at %s: %w", st.Path, err)
	}
	st.Mode = uint32(sx.Mode) & 0o7777
	st.Immutable, st.Append = sx.Attributes&unix.STATX_ATTR_IMMUTABLE != 0, sx.Attributes&unix.STATX_ATTR_APPEND != 0
	switch uint32(sx.Mode) & unix.S_IFMT {
	case unix.S_IFDIR:
		st.Kind = Directory
	case unix.S_IFREG:
		st.Kind = File
	case unix.S_IFLNK:
		st.Kind = Link
	case unix.S_IFCHR, unix.S_IFBLK:
		st.Kind = Device
	default:
		st.Kind = Special
	}
	if err := w.mounted(f, &st); err != nil {
		return err
	}
	if st.Kind == Link {
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(f.Fd()), "", buf)
		if err != nil {
			return fmt.Errorf("read link %s: %w", st.Path, err)
		}
		st.Target = string(buf[:n])
	} else {
		for _, a := range []Access{Read, Write, Exec} {
			if unix.Faccessat2(int(f.Fd()), "", uint32(a), unix.AT_EMPTY_PATH|unix.AT_EACCESS) == nil {
				st.Self |= a
			}
		}
	}
	w.owners(&st, sx.Uid, sx.Gid)
	if st.Kind != Link {
		w.attributes(f, &st)
	}
	w.steps = append(w.steps, st)
	return nil
}

// owners translates ids. An unmapped id looks like the overflow id, which an
// image may use for files too: the capabilities of pod reach only mapped ones.
func (w *walker) owners(st *Step, uid, gid uint32) {
	strange := st.Mount >= 0 && w.Mounts[st.Mount].Type == "bind" || st.Self&Read == 0
	unmapped := func(id uint32) bool { return w.Maps.Overflow != 0 && id == w.Maps.Overflow && strange }
	var ok bool
	st.HostUID, st.HostGID = -1, -1
	if !unmapped(uid) {
		st.HostUID = w.Maps.HostUID(uid)
	}
	if !unmapped(gid) {
		st.HostGID = w.Maps.HostGID(gid)
	}
	st.UID, ok = inside(w.Maps.UID, uid)
	st.NoUID = !ok || unmapped(uid)
	st.GID, ok = inside(w.Maps.GID, gid)
	st.NoGID = !ok || unmapped(gid)
}

// mounted notes what the mount allows, and which it is.
func (w *walker) mounted(f *os.File, st *Step) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", st.Path, err)
	}
	st.ReadOnly, st.NoExec, st.NoDev = fs.Flags&unix.ST_RDONLY != 0, fs.Flags&unix.ST_NOEXEC != 0, fs.Flags&unix.ST_NODEV != 0
	if st.Mount >= 0 {
		m := &w.Mounts[st.Mount]
		st.Where = strings.TrimSpace(m.Type + " " + m.Source)
		st.ReadOnly = st.ReadOnly || m.ReadOnly && !w.Running
		for _, option := range m.Options {
			st.NoExec = st.NoExec || option == "noexec" && !w.Running
			st.NoDev = st.NoDev || option == "nodev" && !w.Running
		}
		return nil
	}
	st.ReadOnly = st.ReadOnly || w.ReadOnly && !w.Running
	st.Where = rootFS
	for _, kind := range []struct {
		magic int64
		name  string
	}{{unix.PROC_SUPER_MAGIC, "proc"}, {unix.SYSFS_MAGIC, "sysfs"}, {unix.CGROUP2_SUPER_MAGIC, "cgroup"}, {unix.TMPFS_MAGIC, "tmpfs"}, {unix.DEVPTS_SUPER_MAGIC, "devpts"}} {
		if fs.Type == kind.magic {
			st.Where = kind.name
		}
	}
	return nil
}

// attributes reads ACL and label. Ids of an ACL are translated like owners.
func (w *walker) attributes(f *os.File, st *Step) {
	name := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	buf := make([]byte, maxACL)
	if n, err := unix.Getxattr(name, "system.posix_acl_access", buf); err == nil && n > 0 {
		if entries, err := parseACL(buf[:n]); err == nil {
			for i := range entries {
				var mapped bool
				switch entries[i].Tag {
				case aclUser:
					entries[i].ID, mapped = inside(w.Maps.UID, entries[i].ID)
				case aclGroup:
					entries[i].ID, mapped = inside(w.Maps.GID, entries[i].ID)
				default:
					continue
				}
				if !mapped {
					entries[i].ID = ^uint32(0)
				}
			}
			st.ACL = entries
		}
	}
	if n, err := unix.Getxattr(name, "security.selinux", buf); err == nil && n > 0 {
		st.Label = strings.TrimRight(string(buf[:n]), "\x00")
	}
}

// interpreter walks to what the kernel would start for a program.
func (w *walker) interpreter(f *os.File, at, depth int) error {
	in, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil //nolint:nilerr // what cannot be read is judged without
	}
	defer in.Close()
	name := interpreterOf(in)
	if name == "" {
		return nil
	}
	w.steps[at].Interpreter = len(w.steps)
	w.toRoot()
	if err := w.describe(w.Root, Step{Path: "/", Mount: -1, Parent: -1}); err != nil {
		return err
	}
	return w.along(name, depth+1)
}

// interpreterOf reads the first line of a script, or the dynamic linker's name
// in an ELF file; "" if there is neither. The file is the image's, so nothing in
// it is believed.
func interpreterOf(in io.ReaderAt) string {
	head := make([]byte, 256)
	n, err := in.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	head = head[:n]
	if line, found := strings.CutPrefix(string(head), "#!"); found {
		line, _, _ = strings.Cut(line, "\n")
		if words := strings.Fields(line); len(words) > 0 && strings.HasPrefix(words[0], "/") {
			return words[0]
		}
		return ""
	}
	return dynamicLinker(in, head)
}

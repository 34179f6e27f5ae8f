package reason

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"go.podman.io/storage/pkg/fileutils"
)

// maxFiles is how many files of a context are remembered. Of a larger one the
// reason is only that something has changed.
const maxFiles = 200_000

// file is what is remembered of a file: what the step's cache depends on, and
// what tells that the file need not be read again.
type file struct {
	// digest is of the content of a regular file or the target of a link.
	digest string
	mode   fs.FileMode
	size   int64
	// mtime, ctime, inode: unchanged if the file is.
	mtime, ctime int64
	inode        uint64
}

// files are those of a context, by path.
type files map[string]file

// scan reads the files below the sources in dir, but those that are excluded. What
// is as it was in old is not read. A file that cannot be read, or goes away
// meanwhile, is left out: the build will say so.
func scan(ctx context.Context, dir string, sources, excludes []string, old files) (files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open context: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	ignored, err := fileutils.NewPatternMatcher(excludes)
	if err != nil {
		return nil, fmt.Errorf("read ignore patterns: %w", err)
	}
	s := scanner{ctx: ctx, root: root, ignored: ignored, old: old, found: files{}, hash: sha256.New(), buffer: make([]byte, 32<<10)}
	for _, top := range tops(sources) {
		// Not below root: WalkDir follows no links, and what it finds is opened there.
		err := filepath.WalkDir(filepath.Join(dir, top), func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return skip(entry)
			}
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return skip(entry)
			}
			return s.visit(rel, entry)
		})
		if err != nil {
			return nil, err
		}
	}
	return s.found, nil
}

type scanner struct {
	ctx     context.Context //nolint:containedctx // of the one walk
	root    *os.Root
	ignored *fileutils.PatternMatcher
	old     files
	found   files
	hash    hash.Hash // for one file after the other
	buffer  []byte    // for what is read of them
}

var errTooMany = errors.New("the context has too many files")

func skip(entry fs.DirEntry) error {
	if entry != nil && entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (s *scanner) visit(rel string, entry fs.DirEntry) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if rel == "." {
		return nil
	}
	if result, err := s.ignored.MatchesResult(rel); err == nil && result.IsMatched() {
		if entry.IsDir() && !s.ignored.Exclusions() { // no !pattern can bring back what is below
			return fs.SkipDir
		}
		return nil
	}
	info, err := entry.Info()
	if err != nil {
		return skip(entry)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || len(s.found) >= maxFiles {
		return errTooMany
	}
	f := file{mode: info.Mode(), size: info.Size(), mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), inode: st.Ino}
	if f.mode.IsDir() {
		f.size, f.mtime, f.ctime = 0, 0, 0
	}
	if old, ok := s.old[rel]; ok && old.mode == f.mode && old.size == f.size && old.mtime == f.mtime && old.ctime == f.ctime && old.inode == f.inode {
		f.digest = old.digest
	} else if f.digest, err = s.digest(rel, f.mode); err != nil {
		return nil //nolint:nilerr // see scan
	}
	s.found[rel] = f
	return nil
}

func (s *scanner) digest(rel string, mode fs.FileMode) (string, error) {
	s.hash.Reset()
	switch {
	case mode.IsRegular():
		f, err := s.root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return "", err
		}
		defer f.Close() //nolint:errcheck // read only
		// Without f's WriteTo, which would make a buffer for each file.
		if _, err := io.CopyBuffer(s.hash, struct{ io.Reader }{f}, s.buffer); err != nil {
			return "", err
		}
	case mode&fs.ModeSymlink != 0:
		target, err := s.root.Readlink(rel)
		if err != nil {
			return "", err
		}
		s.hash.Write([]byte(target))
	default:
		return "", nil
	}
	return hex.EncodeToString(s.hash.Sum(nil)[:16]), nil
}

// tops are the directories and files to walk for sources with patterns, none of
// them below another.
func tops(sources []string) []string {
	var all []string
	for _, source := range sources {
		source = path.Clean("/" + filepath.ToSlash(source))[1:]
		if at := strings.IndexAny(source, `*?[\`); at >= 0 {
			source = path.Dir("/" + source[:at] + "x")[1:]
		}
		all = append(all, source)
	}
	slices.Sort(all)
	var out []string
	for _, top := range all {
		if n := len(out); n == 0 || !below(top, out[n-1]) {
			out = append(out, top)
		}
	}
	return out
}

func below(name, dir string) bool {
	return dir == "" || name == dir || strings.HasPrefix(name, dir+"/")
}

// matches says whether a step with the sources reads a path.
func matches(name string, sources []string) bool {
	for _, source := range sources {
		source = path.Clean("/" + filepath.ToSlash(source))[1:]
		if below(name, source) {
			return true
		}
		if !strings.ContainsAny(source, `*?[\`) {
			continue
		}
		for part := name; part != "."; part = path.Dir(part) {
			if ok, err := path.Match(source, part); ok && err == nil {
				return true
			}
		}
	}
	return false
}

// changes says what has happened to files that a step reads, at most three.
func changes(old, now files, sources, excludes []string) string {
	ignored, err := fileutils.NewPatternMatcher(beside(excludes, sources))
	if err != nil {
		return ""
	}
	var said []string
	add := func(name, what string) {
		if !matches(name, sources) {
			return
		}
		if result, err := ignored.MatchesResult(name); err == nil && result.IsMatched() {
			return
		}
		said = append(said, name+" "+what)
	}
	for name, f := range now {
		was, known := old[name]
		switch {
		case !known:
			add(name, "added")
		case was.mode.Type() != f.mode.Type():
			add(name, "is another kind of file")
		case was.digest != f.digest:
			add(name, "changed")
		case was.mode != f.mode:
			add(name, fmt.Sprintf("has mode %04o, had %04o", permissions(f.mode), permissions(was.mode)))
		}
	}
	for name := range old {
		if _, ok := now[name]; !ok {
			add(name, "removed")
		}
	}
	slices.Sort(said)
	const most = 3
	if len(said) > most {
		return strings.Join(said[:most], ", ") + fmt.Sprintf(" and %d more", len(said)-most)
	}
	return strings.Join(said, ", ")
}

// beside are patterns of --exclude as buildah takes them: for the whole context,
// and for each source.
func beside(excludes, sources []string) []string {
	out := slices.Clone(excludes)
	for _, source := range sources {
		for _, exclude := range excludes {
			pattern, not := strings.CutPrefix(exclude, "!")
			pattern = path.Join(path.Clean("/" + filepath.ToSlash(source))[1:], pattern)
			if not {
				pattern = "!" + pattern
			}
			out = append(out, pattern)
		}
	}
	return out
}

// permissions are the twelve bits of a mode as chmod has them.
func permissions(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for _, b := range []struct {
		bit  fs.FileMode
		unix uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if mode&b.bit != 0 {
			bits |= b.unix
		}
	}
	return bits
}

// encode writes files, a line each.
func (f files) encode(b *bytes.Buffer) {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	var line []byte
	for _, name := range names {
		e := f[name]
		line = line[:0]
		line = append(line, e.digest...)
		for _, n := range []int64{int64(e.mode), e.size, e.mtime, e.ctime, int64(e.inode)} {
			line = strconv.AppendInt(append(line, ' '), n, 36)
		}
		line = append(strconv.AppendQuote(append(line, ' '), name), '\n')
		b.Write(line)
	}
}

// decode reads what encode has written.
func decode(r *bufio.Reader) (files, error) {
	f := files{}
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return f, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read files: %w", err)
		}
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 7)
		if len(fields) != 7 {
			return nil, fmt.Errorf("read files: %q has no seven fields", line)
		}
		var n [5]int64
		for i := range n {
			if n[i], err = strconv.ParseInt(fields[i+1], 36, 64); err != nil {
				return nil, fmt.Errorf("read files: %w", err)
			}
		}
		name, err := strconv.Unquote(fields[6])
		if err != nil {
			return nil, fmt.Errorf("read files: %q: %w", fields[6], err)
		}
		f[name] = file{digest: fields[0], mode: fs.FileMode(n[0]), size: n[1], mtime: n[2], ctime: n[3], inode: uint64(n[4])}
	}
}

package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// chain is a log of several files: path, and what it was before, path.1, path.2
// and so on. The watcher renames the oldest first and path last, so a file only
// ever moves away from path; then conmon makes a new path. A file that has a
// successor is complete.
type chain struct{ path string }

// fileID tells files apart, whatever their names are now. It is unique as long
// as the file is held open.
type fileID struct {
	dev, inode uint64
}

// link is a file of a chain under the name it had a moment ago.
type link struct {
	name string
	id   fileID
	size int64
}

func identify(info fs.FileInfo) fileID {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}
	}
	return fileID{dev: st.Dev, inode: st.Ino}
}

// deleted tells whether an open file has no name any more.
func deleted(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}

// scan looks the files up, newest first. Files move ahead of it, so that it
// meets one twice perhaps, but misses none.
func (c chain) scan() ([]link, error) {
	var links []link
	// One name in a row may be free while files are being renamed, and PATH
	// until conmon makes it.
	const gap = 2
	for n, missing := 0, 0; missing < gap || n <= gap; n++ {
		name := c.path
		if n > 0 {
			name += "." + strconv.Itoa(n)
		}
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			missing++
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for log file: %w", err)
		}
		missing = 0
		id := identify(info)
		known := slices.ContainsFunc(links, func(l link) bool { return l.id == id })
		if n > 0 && !info.Mode().IsRegular() || known {
			continue
		}
		links = append(links, link{name: name, id: id, size: info.Size()})
	}
	return links, nil
}

// links are the files, newest first, as two scans agree on.
func (c chain) links() ([]link, error) {
	last, err := c.scan()
	for range 10 { // more only if every scan meets a rotation
		if err != nil {
			return nil, err
		}
		var next []link
		next, err = c.scan()
		if err == nil && slices.EqualFunc(last, next, func(a, b link) bool { return a.id == b.id }) {
			return next, nil
		}
		last = next
	}
	return last, err
}

// open opens the file of a link, or returns nil if its name is another file's.
func (c chain) open(l link) (*os.File, error) {
	f, err := os.Open(l.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // not there
	}
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	info, err := f.Stat()
	if err != nil || identify(info) != l.id {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// successor opens the file that came after one that is held open, nil if there is
// none yet. After a file that was deleted comes the oldest there is.
func (c chain) successor(of *os.File) (*os.File, error) {
	info, err := of.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at log file: %w", err)
	}
	for {
		links, err := c.links()
		if err != nil || len(links) == 0 {
			return nil, err
		}
		at := slices.IndexFunc(links, func(l link) bool { return l.id == identify(info) })
		if at == 0 {
			return nil, nil //nolint:nilnil // it is the newest
		}
		if at < 0 {
			if info, err = of.Stat(); err != nil {
				return nil, fmt.Errorf("look at log file: %w", err)
			}
			at = len(links)
			if !deleted(info) {
				at = 1 // somebody gave it another name
			}
		}
		next, err := c.open(links[at-1])
		if next != nil || err != nil {
			return next, err
		}
		// It was renamed meanwhile: look again.
	}
}

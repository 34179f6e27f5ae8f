package verify

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"time"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
)

// entry is a file of a layer.
type entry struct {
	kind      byte
	mode      int64
	uid, gid  int
	mtime     time.Time
	link      string
	major     int64
	minor     int64
	content   [sha256.Size]byte
	attribute map[string]string
	at        int
}

// compareLayers lists the files that differ in two layers.
func compareLayers(store storage.Store, first, second string) ([]File, error) {
	a, err := layer(store, first)
	if err != nil {
		return nil, err
	}
	b, err := layer(store, second)
	if err != nil {
		return nil, err
	}
	return compareEntries(a, b), nil
}

func layer(store storage.Store, id string) (_ map[string]entry, err error) {
	plain := archive.Uncompressed
	diff, err := store.Diff("", id, &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return nil, fmt.Errorf("read layer %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, diff.Close()) }()
	entries, err := list(diff)
	if err != nil {
		return nil, fmt.Errorf("read layer %s: %w", id, err)
	}
	return entries, nil
}

// list reads the files of an archive.
func list(r io.Reader) (map[string]entry, error) {
	out := map[string]entry{}
	for in, at := tar.NewReader(r), 0; ; at++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, r) // what follows the end
			return out, err                  //nolint:wrapcheck // the caller does
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller does
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, in); err != nil { //nolint:gosec // the store has unpacked it before
			return nil, err //nolint:wrapcheck // the caller does
		}
		e := entry{
			kind: h.Typeflag, mode: h.Mode, uid: h.Uid, gid: h.Gid, mtime: h.ModTime, link: h.Linkname,
			major: h.Devmajor, minor: h.Devminor, attribute: h.PAXRecords, at: at,
		}
		hash.Sum(e.content[:0])
		out[path.Join("/", h.Name)] = e //nolint:gosec // a name, which is not opened
	}
}

func compareEntries(a, b map[string]entry) []File {
	all := maps.Clone(a)
	maps.Copy(all, b)
	var out []File
	moved := false
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x, isFirst := a[name]
		y, isSecond := b[name]
		f := File{Path: name}
		switch {
		case !isFirst:
			f.What = []string{onlySecond}
		case !isSecond:
			f.What = []string{onlyFirst}
		default:
			f.What = x.compare(&y)
			moved = moved || x.at != y.at
		}
		if len(f.What) > 0 {
			out = append(out, f)
		}
	}
	if len(out) == 0 && moved {
		out = append(out, File{Path: "/", What: []string{order}})
	}
	return out
}

// times are what an archive may say of times in its extended records, which are
// compared as times.
func times(name string) bool { return name == "mtime" || name == "atime" || name == "ctime" }

func (e *entry) compare(other *entry) []string {
	var what []string
	add := func(differs bool, name string) {
		if differs {
			what = append(what, name)
		}
	}
	add(e.kind != other.kind || e.major != other.major || e.minor != other.minor, kind)
	add(e.content != other.content, content)
	add(e.link != other.link, link)
	add(e.mode != other.mode, mode)
	add(e.uid != other.uid || e.gid != other.gid, owner)
	add(!e.mtime.Equal(other.mtime), mtime)
	x, y := maps.Clone(e.attribute), maps.Clone(other.attribute)
	maps.DeleteFunc(x, func(name, _ string) bool { return times(name) })
	maps.DeleteFunc(y, func(name, _ string) bool { return times(name) })
	add(!maps.Equal(x, y), attributes)
	return what
}

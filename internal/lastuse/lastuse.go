// Package lastuse remembers when an image was last used: it is the time of an
// empty file with the image's id, in pod/used of the graph root. A run pays one
// utimensat for it; nothing is synced, since a time that is lost with the
// machine's power costs nothing but a later clean-up.
package lastuse

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func dir(graphRoot string) string { return filepath.Join(graphRoot, "pod", "used") }

// Mark notes that the image is used now. It is a note in passing: nothing
// fails when it cannot be made, on a full disk for one.
func Mark(graphRoot, id string) {
	if !valid(id) {
		return
	}
	path := filepath.Join(dir(graphRoot), id)
	now := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	if unix.UtimesNanoAt(unix.AT_FDCWD, path, now, unix.AT_SYMLINK_NOFOLLOW) == nil {
		return
	}
	const flags = os.O_WRONLY | os.O_CREATE | unix.O_NOFOLLOW
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) && os.MkdirAll(dir(graphRoot), 0o700) == nil {
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if err == nil {
		_ = f.Close() // it is empty
	}
}

// MarkAt is Mark for a use that ended at that time; a later use that is known
// stays.
func MarkAt(graphRoot, id string, at time.Time) {
	if !Of(graphRoot, id).Before(at) {
		return
	}
	Mark(graphRoot, id)
	if valid(id) {
		_ = os.Chtimes(filepath.Join(dir(graphRoot), id), at, at)
	}
}

// Of is when the image was last used; the zero time if nobody noted it.
func Of(graphRoot, id string) time.Time {
	if !valid(id) {
		return time.Time{}
	}
	info, err := os.Lstat(filepath.Join(dir(graphRoot), id))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Keep forgets the images that keep does not want: those that are gone.
func Keep(graphRoot string, keep func(id string) bool) {
	entries, err := os.ReadDir(dir(graphRoot))
	if err != nil {
		return // nothing is noted, or it is tried again the next time
	}
	for _, entry := range entries {
		if !keep(entry.Name()) {
			_ = os.Remove(filepath.Join(dir(graphRoot), entry.Name()))
		}
	}
}

// valid says whether id is an image's and not a path.
func valid(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}

package libpod

import (
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DirSize is what a tree takes on disk, in bytes; files with several names
// count once.
func DirSize(dir string) int64 {
	var size int64
	seen := map[uint64]bool{}
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what is gone or closed does not count
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil || (st.Nlink > 1 && seen[st.Ino]) {
			return nil //nolint:nilerr // as above
		}
		seen[st.Ino] = true
		size += st.Blocks * 512
		return nil
	})
	return size
}

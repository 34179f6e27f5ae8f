package build

import (
	"archive/tar"
	"fmt"
	"io"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

const (
	// maxMembers is more than the archives of the largest projects have.
	maxMembers = 1_000_000
	// maxNames is what their names, targets and attributes may come to, which whoever
	// unpacks keeps in memory.
	maxNames = 256 << 20
)

// found is what an archive says of itself in its headers, and so before anything of
// it is written.
type found struct {
	// most is how many members it may have.
	most    int
	members int
	names   int
	// size is that of its files.
	size uint64
}

// survey reads the headers of an archive, but no further than it may go. What is
// wrong with it otherwise is said by whoever unpacks it.
func survey(in io.Reader, most int) found {
	all := found{most: most}
	archive := tar.NewReader(in)
	for all.bounded() == nil {
		head, err := archive.Next()
		if err != nil {
			break
		}
		all.members++
		all.names += len(head.Name) + len(head.Linkname)
		for key, value := range head.PAXRecords {
			all.names += len(key) + len(value)
		}
		all.size += uint64(max(head.Size, 0))
	}
	return all
}

// bounded refuses what no context has.
func (f *found) bounded() error {
	switch {
	case f.members > f.most:
		return fmt.Errorf("it has more than %d members: if you trust it, unpack it yourself and name the directory", f.most)
	case f.names > maxNames:
		return fmt.Errorf("the names and attributes in it come to more than %s: if you trust it, unpack it yourself and name the directory", units.BytesSize(maxNames))
	}
	return nil
}

// fits refuses what dir has no room for.
func (f *found) fits(dir string) error {
	if err := f.bounded(); err != nil {
		return err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return nil //nolint:nilerr // then there is room, or writing fails
	}
	return f.fit(disk.Bavail*uint64(disk.Bsize), disk.Files, disk.Ffree)
}

// fit compares with a disk. One that says it has no inodes makes as many as it needs.
func (f *found) fit(room, inodes, free uint64) error {
	switch {
	case f.size > room:
		return fmt.Errorf("it unpacks to %s, and the directory for temporary files has %s free: name another one with TMPDIR",
			units.BytesSize(float64(f.size)), units.BytesSize(float64(room)))
	case inodes > 0 && uint64(f.members) > free:
		return fmt.Errorf("it has %d members, and the directory for temporary files has %d inodes free: name another one with TMPDIR", f.members, free)
	}
	return nil
}

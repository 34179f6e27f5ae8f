package volume

import (
	"errors"
	"io"
	"os"
	"syscall"

	securejoin "github.com/cyphar/filepath-securejoin"
	"go.podman.io/storage/pkg/chrootarchive"
)

// source is what an image has at the place of a volume.
type source struct {
	path     string
	uid, gid int
	mode     os.FileMode
	empty    bool
}

// find looks at the place of a volume in the image; nil if there is no directory.
func find(root, path string) (*source, error) {
	at, err := securejoin.SecureJoin(root, path)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(at)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return nil, nil //nolint:nilnil // as above
	}
	empty, err := Empty(at)
	return &source{path: at, uid: int(st.Uid), gid: int(st.Gid), mode: info.Mode(), empty: empty}, err
}

// First is the first use of a volume by a container.
type First struct {
	// Root is the image's file system, Path the place of the volume in it.
	Root, Path string
	// UID and GID are the container's user, who gets a volume that the image has
	// no directory for.
	UID, GID int
	// Copy fills the volume; Own gives it the owner and the mode.
	Copy, Own bool
}

// Prepare gives an empty volume the image's content, owner and mode. It says
// whether it was empty, and whether it is filled now.
func (f First) Prepare(dir string) (empty, filled bool, err error) {
	empty, err = Empty(dir)
	if err != nil || !empty {
		return empty, false, err
	}
	from, err := find(f.Root, f.Path)
	if err != nil {
		return true, false, err
	}
	if f.Own {
		uid, gid := f.UID, f.GID
		if from != nil {
			uid, gid = from.uid, from.gid
		}
		if err := os.Lchown(dir, uid, gid); err != nil {
			return true, false, err
		}
		if from != nil {
			if err := os.Chmod(dir, from.mode); err != nil { // after chown, which takes bits away
				return true, false, err
			}
		}
	}
	if !f.Copy || from == nil || from.empty {
		return true, false, nil
	}
	// The copy runs chrooted on both sides: links of the image lead nowhere else.
	return true, true, chrootarchive.NewArchiver(nil).CopyWithTar(from.path, dir)
}

// Empty says whether nothing is in a directory.
func Empty(dir string) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	_, err = f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

package ownercopy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

// ErrDiffers says that a copy is not what its original is.
var ErrDiffers = errors.New("the copy differs")

// Same says whether dst looks as Tree would have made it of src: names, kinds,
// sizes, modes, owners and times, and that there is data where there should be.
// It does not read files. It is for copies that were made before a power loss.
func Same(ctx context.Context, src, dst string, owner func(uid, gid uint32) (newUID, newGID uint32)) error {
	names := 0
	err := filepath.WalkDir(src, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		names++
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		var from, to syscall.Stat_t
		if err := syscall.Lstat(path, &from); err != nil {
			return err
		}
		if err := syscall.Lstat(filepath.Join(dst, rel), &to); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDiffers, rel, err)
		}
		if !same(&from, &to, owner) {
			return fmt.Errorf("%w: %s", ErrDiffers, rel)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = filepath.WalkDir(dst, func(_ string, _ fs.DirEntry, err error) error {
		names--
		return err
	})
	if err == nil && names != 0 {
		err = fmt.Errorf("%w: it has %d names more", ErrDiffers, -names)
	}
	return err
}

func same(from, to *syscall.Stat_t, owner func(uid, gid uint32) (newUID, newGID uint32)) bool {
	uid, gid := owner(from.Uid, from.Gid)
	if from.Mode != to.Mode || to.Uid != uid || to.Gid != gid || from.Rdev != to.Rdev || from.Mtim != to.Mtim {
		return false
	}
	if from.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return true
	}
	return from.Size == to.Size && (from.Blocks == 0 || to.Blocks > 0)
}

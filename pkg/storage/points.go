package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// pointsName is the directory in passingHome that lies below the layers of the image. It has
// the places on which nearly every container has mounts: those that the image lacks the
// runtime would make in the container's own layer, up to nine files that come and go with it.
// What the image has lies above, and hides them where it is of another kind.
const pointsName = "points"

// makePoints makes what is missing of them; the last one is made last. Nothing changes once
// it is there, so they may be mounted meanwhile.
func (s *Store) makePoints() error {
	home := filepath.Join(s.passingHome(), pointsName)
	const last = "run/.containerenv"
	if _, err := os.Lstat(filepath.Join(home, last)); err == nil {
		return nil
	}
	if err := s.makePassingHome(); err != nil {
		return err
	}
	for _, dir := range []string{"", "dev", "proc", "sys", "etc", "run"} {
		err := os.Mkdir(filepath.Join(home, dir), 0o755) //nolint:gosec // as in any image
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, name := range []string{"etc/hosts", "etc/hostname", "etc/resolv.conf", last} {
		f, err := os.OpenFile(filepath.Join(home, name), os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // likewise
		if err == nil {
			err = f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

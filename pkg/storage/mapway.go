package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/storage/pkg/idmap"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// MapWay is how a store gives the files of an image the ids of a container.
type MapWay int

const (
	// MapByLibrary copies whole images in the driver, under the lock of the store.
	MapByLibrary MapWay = iota
	// MapByKernel mounts layers idmapped; nothing is copied.
	MapByKernel
	// MapByReflink copies files, which share their data.
	MapByReflink
	// MapByCopy copies files.
	MapByCopy
)

// MapWay says which way this store gets.
func (s *Store) MapWay() (MapWay, error) {
	if s.conf.GraphDriverName != "overlay" || s.conf.ImageStore != "" {
		return MapByLibrary, nil
	}
	// Maps of several pieces, as those of keep-id are.
	pieces := []idtools.IDMap{{ContainerID: 0, HostID: 1, Size: 1}, {ContainerID: 1, HostID: 0, Size: 1}}
	shifts, err := s.shifts(pieces, pieces)
	switch {
	case err != nil:
		return MapByLibrary, err
	case shifts:
		return MapByKernel, nil
	case Reflinks(filepath.Join(s.conf.GraphRoot, "overlay")):
		return MapByReflink, nil
	}
	return MapByCopy, nil
}

// shifts says whether the driver shows files with other owners by itself: by
// idmapped mounts, or by fuse-overlayfs.
func (s *Store) shifts(uids, gids []idtools.IDMap) (bool, error) {
	lib, err := s.opened()
	if err != nil {
		return false, err
	}
	driver, err := lib.GraphDriver()
	if err != nil {
		return false, fmt.Errorf("driver of the store: %w", err)
	}
	if err := s.probeIDMapped(); err != nil {
		return false, err
	}
	return driver.SupportsShifting(uids, gids), nil
}

// probeIDMapped finds out, once a boot, whether layers can be mounted idmapped, and
// says so in the file where the driver keeps its own answer. The driver tries it
// without userxattr, which a user's overlay needs, and so never finds that a file
// system can do it which the user's namespace has mounted (tmpfs, for one).
func (s *Store) probeIDMapped() error {
	run := filepath.Join(s.conf.RunRoot, "overlay")
	answer := filepath.Join(run, "idmapped-lower-dir-")
	tried := filepath.Join(run, "pod-tried-idmapped")
	if _, err := os.Lstat(tried); err == nil || os.Geteuid() != 0 {
		return nil
	}
	if err := os.MkdirAll(run, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if idmapped(filepath.Join(s.conf.GraphRoot, "overlay")) {
		if err := os.WriteFile(answer+"true", nil, 0o600); err != nil {
			return fmt.Errorf("note what the kernel can: %w", err)
		}
	}
	if err := os.WriteFile(tried, nil, 0o600); err != nil {
		return fmt.Errorf("note what the kernel can: %w", err)
	}
	return nil
}

// idmapped tries to mount an overlay on an idmapped directory below home.
func idmapped(home string) bool {
	dir, err := os.MkdirTemp(home, "compat")
	if err != nil {
		return false
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"merged", "lower", "mapped", "upper", "work"} {
		if os.Mkdir(path(name), 0o700) != nil {
			return false
		}
	}
	maps := []idtools.IDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	pid, stop, err := idmap.CreateUsernsProcess(maps, maps)
	if err != nil {
		return false
	}
	defer stop()
	if idmap.CreateIDMappedMount(path("lower"), path("mapped"), pid) != nil {
		return false
	}
	defer func() { _ = unix.Unmount(path("mapped"), unix.MNT_DETACH) }()
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,userxattr", path("mapped"), path("upper"), path("work"))
	if unix.Mount("overlay", path("merged"), "overlay", 0, options) != nil {
		return false
	}
	return unix.Unmount(path("merged"), unix.MNT_DETACH) == nil
}

// Reflinks says whether files in a directory can share data.
func Reflinks(dir string) bool {
	from, err := os.CreateTemp(dir, "compat")
	if err != nil {
		return false
	}
	defer from.Close()
	defer func() { _ = os.Remove(from.Name()) }()
	to, err := os.CreateTemp(dir, "compat")
	if err != nil {
		return false
	}
	defer to.Close()
	defer func() { _ = os.Remove(to.Name()) }()
	_, err = from.Write(make([]byte, 4096))
	return errors.Join(err, unix.IoctlFileClone(int(to.Fd()), int(from.Fd()))) == nil
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/step"
)

// mountData are the options with which a passing container is mounted: those that the
// library's driver would give, and its mount points.
func (s *Store) mountData(p *passing) string {
	home := s.graphOf(p.layer)
	lower := strings.Join(p.Lower, ":")
	if p.Points {
		lower += ":" + filepath.Join(s.passingHome(), pointsName)
	}
	return "lowerdir=" + lower + ",upperdir=" + filepath.Join(home, "diff") + ",workdir=" + filepath.Join(home, "work") +
		",userxattr,volatile"
}

// mountPassing mounts a container, or counts once more that it is.
func (s *Store) mountPassing(p *passing) (string, error) {
	merged := s.mergedOf(p.layer)
	if mountedAt(merged) {
		p.Mounts = max(p.Mounts, 0) + 1
		return merged, s.savePassing(p)
	}
	if err := os.Mkdir(merged, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	// The kernel's mark that what was written is perhaps not on the disk: no loss here.
	mark := filepath.Join(s.graphOf(p.layer), "work", "work", "incompat", "volatile")
	if err := unix.Rmdir(mark); err != nil && !errors.Is(err, unix.ENOENT) {
		return "", &fs.PathError{Op: "rmdir", Path: mark, Err: err}
	}
	if err := unix.Mount(overlayName, merged, overlayName, 0, s.mountData(p)); err != nil {
		return "", fmt.Errorf("overlay of %d layers at %s: %w", len(p.Lower), merged, noSpace(err))
	}
	p.Mounts = 1
	return merged, s.savePassing(p)
}

// unmountPassing takes back one mount, or all, and says whether one is left.
func (s *Store) unmountPassing(p *passing, force bool) (bool, error) {
	if p.Mounts > 1 && !force {
		p.Mounts--
		return true, s.savePassing(p)
	}
	merged := s.mergedOf(p.layer)
	if mountedAt(merged) {
		if err := detach(merged); err != nil {
			return true, err
		}
	}
	p.Mounts = 0
	return false, s.savePassing(p)
}

// detach takes a mount away, and what still uses it goes on.
func detach(dir string) error {
	if err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount %s: %w", dir, err)
	}
	return nil
}

// mountedAt says whether an overlay is mounted at a directory: it is a file system of
// its own then.
func mountedAt(dir string) bool {
	var at, above unix.Stat_t
	return unix.Lstat(dir, &at) == nil && unix.Lstat(filepath.Dir(dir), &above) == nil && at.Dev != above.Dev
}

// merged is where a container is mounted; empty if it is not.
func (p *passing) merged(s *Store) string {
	if merged := s.mergedOf(p.layer); p.Mounts > 0 && mountedAt(merged) {
		return merged
	}
	return ""
}

// driverData is what the library's driver would tell of a container.
func (p *passing) driverData(s *Store) map[string]string {
	home := s.graphOf(p.layer)
	data := map[string]string{
		"LowerDir": strings.Join(p.Lower, ":"), "UpperDir": filepath.Join(home, "diff"), "WorkDir": filepath.Join(home, "work"),
	}
	if merged := p.merged(s); merged != "" {
		data["MergedDir"] = merged
	}
	return data
}

// adopt makes a passing container one of the library's, with all that it has written,
// whether it runs or not. What asks more of a container than to be mounted and removed
// calls this first. A container that is none, or is one already, stays as it is.
//
// It may be killed anywhere: as long as the directory diff is in the old place, that is
// the container, and adopt begins again; after that it goes on.
func (s *Store) adopt(ctx context.Context, id string) error {
	_, err := s.whileRecorded(id, func(p *passing) error {
		ctx = context.WithoutCancel(ctx)
		lib, err := s.lib(ctx)
		if err != nil {
			return err
		}
		p.Adopting = true
		if err := s.savePassing(p); err != nil {
			return err
		}
		after := filepath.Join(s.conf.GraphRoot, overlayName, p.layer, "merged")
		if err := s.moveMount(ctx, lib, p, after); err != nil {
			return err
		}
		if err := step.Do(ctx, "passing.adopt", func() error { return s.handOver(p.layer) }); err != nil {
			return err
		}
		if mountedAt(after) {
			if err := countMounts(lib, p); err != nil {
				return err
			}
		}
		return s.leaveLink(p.layer, after)
	})
	if err != nil {
		return fmt.Errorf("storage of %s: %w", id[:12], noSpace(err))
	}
	return nil
}

// moveMount makes the library's container, unless that has the files already, and moves
// the mount there, if there is one.
func (s *Store) moveMount(ctx context.Context, lib cstorage.Store, p *passing, after string) error {
	merged := s.mergedOf(p.layer)
	if _, err := os.Lstat(filepath.Join(s.graphOf(p.layer), "diff")); err == nil {
		if mountedAt(after) && !mountedAt(merged) {
			// What a killed try has made is made again.
			if err := unix.Mount(after, merged, "", unix.MS_MOVE, ""); err != nil {
				return fmt.Errorf("move mount %s: %w", after, err)
			}
		}
		if err := s.makeAdopted(lib, p); err != nil {
			return err
		}
	}
	if !mountedAt(merged) {
		return nil
	}
	err := step.Do(ctx, "passing.move", func() error { return unix.Mount(merged, after, "", unix.MS_MOVE, "") })
	if err != nil {
		return errors.Join(fmt.Errorf("move mount %s: %w", merged, err), lib.DeleteContainer(p.ID))
	}
	return nil
}

// countMounts has the library count what is mounted already: it finds it so.
func countMounts(lib cstorage.Store, p *passing) error {
	for {
		count, err := lib.Mounted(p.ID)
		if err != nil || count >= p.Mounts {
			return err
		}
		if _, err := lib.Mount(p.ID, ""); err != nil {
			return err
		}
	}
}

// leaveLink removes the record, and lets who was told of the old mount find the new one
// until the container is deleted.
func (s *Store) leaveLink(layer, to string) error {
	merged := s.mergedOf(layer)
	err := unix.Rmdir(merged)
	if err == nil || errors.Is(err, unix.ENOENT) {
		err = os.Symlink(to, merged)
	}
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, fs.ErrExist) {
		err = nil // a killed try has left it
	}
	return errors.Join(err, removeTree(s.graphOf(layer)), os.Remove(filepath.Join(s.runOf(layer), "record")))
}

// makeAdopted makes the library's container, empty, over what a killed try has left.
func (s *Store) makeAdopted(lib cstorage.Store, p *passing) error {
	if err := s.dropEmptyNote(p.layer); err != nil {
		return err
	}
	if err := lib.DeleteContainer(p.ID); err != nil && !errors.Is(err, cstorage.ErrNotAContainer) && !errors.Is(err, cstorage.ErrContainerUnknown) {
		return err
	}
	if err := s.deleteLayer(lib, p.layer); err != nil {
		return err
	}
	_, err := lib.CreateContainer(p.ID, p.describe().Names, p.ImageID, p.layer, shortMark+p.RunDir, &cstorage.ContainerOptions{
		IDMappingOptions: (&ContainerOptions{}).mappings(), Volatile: true,
	})
	return err
}

// handOver renames the directories of a layer to where the library has them. It does so
// on a copy of the mount that the store is on: the library mounts its own directory
// over itself, and between two mounts nothing can be renamed. The overlay that is
// mounted holds its directories, not their names.
func (s *Store) handOver(layer string) error {
	root, err := unix.OpenTree(unix.AT_FDCWD, s.conf.GraphRoot, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.conf.GraphRoot, err)
	}
	defer unix.Close(root) //nolint:errcheck // a descriptor
	home, err := filepath.Rel(s.conf.GraphRoot, s.graphOf(layer))
	if err != nil {
		return err
	}
	for _, name := range []string{"work", "diff"} {
		from, to := filepath.Join(home, name), filepath.Join(overlayName, layer, name)
		if err := unix.Renameat(root, from, root, to); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("rename %s: %w", from, err)
		}
	}
	return nil
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	securejoin "github.com/cyphar/filepath-securejoin"
	"go.podman.io/common/pkg/chown"
	"go.podman.io/storage/pkg/chrootarchive"

	"github.com/rootless-pod/pod/pkg/filecopy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// prepareVolumes fills new volumes with what the image has at their place, and
// gives volumes and binds their owners where that was asked for (:U).
func (e *Engine) prepareVolumes(ctx context.Context, c *state.Container, root string) error {
	for _, m := range c.Spec.Storage.Mounts {
		_, own := m.Split()
		source := m.Source
		if m.Type == "volume" {
			source = e.volumeDir(m.Source)
			if err := e.fillVolume(ctx, m, root, own.NoCopy); err != nil {
				return err
			}
		}
		if own.Chown && !own.Overlay && (m.Type == "bind" || m.Type == "volume") {
			if err := e.giveTo(ctx, c, root, source); err != nil {
				return err
			}
		}
	}
	return nil
}

// fillVolume copies the image's content into a volume that was never used. The
// copy runs chrooted on both sides: links of the image lead nowhere else.
func (e *Engine) fillVolume(ctx context.Context, m specgen.Mount, root string, skip bool) error {
	v, err := e.state.Volume(ctx, m.Source)
	if err != nil {
		return err
	}
	if !v.NeedsCopyUp {
		return nil
	}
	lock, err := e.state.Lock(ctx, "volume-"+v.Name)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	if v, err = e.state.Volume(ctx, m.Source); err != nil || !v.NeedsCopyUp {
		return err
	}
	dir := e.volumeDir(v.Name)
	if !skip && root != "" {
		if err := copyUp(root, m.Destination, dir); err != nil {
			return fmt.Errorf("fill volume %s from %s of the image: %w", v.Name, m.Destination, err)
		}
	}
	v.NeedsCopyUp = false
	return e.state.UpdateVolume(ctx, v)
}

// copyUp copies the directory at path in root, its owner and mode included, to
// the empty directory dir. Without such a directory there is nothing to copy.
func copyUp(root, path, dir string) error {
	source, err := securejoin.SecureJoin(root, path)
	if err != nil {
		return err
	}
	info, err := os.Lstat(source)
	if err != nil || !info.IsDir() {
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := copyAttributes(source, dir); err != nil {
		return err
	}
	if empty, err := isEmpty(source); err != nil || empty {
		return err
	}
	if empty, err := isEmpty(dir); err != nil || !empty {
		return err
	}
	return chrootarchive.NewArchiver(nil).CopyWithTar(source, dir)
}

func copyAttributes(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	uid, gid, err := owner(from)
	if err != nil {
		return err
	}
	if err := os.Lchown(to, uid, gid); err != nil {
		return err
	}
	return os.Chmod(to, info.Mode())
}

func owner(path string) (uid, gid int, err error) {
	st, err := statOwner(path)
	return int(st.Uid), int(st.Gid), err
}

func isEmpty(dir string) (bool, error) {
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

// giveTo makes the container's user the owner of a tree.
func (e *Engine) giveTo(ctx context.Context, c *state.Container, root, path string) error {
	who, err := resolveUser(root, c.Spec.Process.User, nil)
	if err != nil {
		return err
	}
	maps, err := e.mapsOf(ctx, c)
	if err != nil {
		return err
	}
	uid, err := filecopy.Outer(maps.uid, who.uid)
	if err != nil {
		return err
	}
	gid, err := filecopy.Outer(maps.gid, who.gid)
	if err != nil {
		return err
	}
	if err := chown.ChangeHostPathOwnership(path, true, int(uid), int(gid)); err != nil {
		return fmt.Errorf("give %s to %d:%d: %w", path, uid, gid, err)
	}
	return nil
}

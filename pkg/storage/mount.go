package storage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/opencontainers/selinux/go-selinux"
	cstorage "go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/directory"
	"golang.org/x/sys/unix"
)

// Mount mounts the container's root file system and returns where. Mounts are
// counted; each needs its Unmount.
func (s *Store) Mount(ctx context.Context, id string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	var at string
	done, err := s.whilePassing(ctx, id, func(p *passing) (err error) { at, err = s.mountPassing(p); return err })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENODEV) {
		// The kernel does not mount it so: perhaps the library knows another way.
		done, err = false, s.adopt(ctx, id)
	}
	if done || err != nil {
		return at, translate("mount", id, err)
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return "", err
	}
	label := ""
	if selinux.GetEnabled() {
		c, err := lib.Container(id)
		if err != nil {
			return "", translate("mount", id, err)
		}
		label = c.MountLabel()
	}
	path, err := lib.Mount(id, label)
	if errors.Is(err, cstorage.ErrLayerUnknown) {
		err = cstorage.ErrContainerUnknown
	}
	return path, translate("mount", id, err)
}

// Unmount takes back one Mount, or with force all of them. It says whether the
// file system is still mounted. What is not mounted is no error.
func (s *Store) Unmount(ctx context.Context, id string, force bool) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	var left bool
	if done, err := s.whilePassing(ctx, id, func(p *passing) (err error) { left, err = s.unmountPassing(p, force); return err }); done || err != nil {
		return left, translate("unmount", id, err)
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return false, err
	}
	still, err := lib.Unmount(id, force)
	if errors.Is(err, cstorage.ErrLayerNotMounted) || errors.Is(err, cstorage.ErrLayerUnknown) {
		return false, nil
	}
	return still, translate("unmount", id, err)
}

// Mounted counts the mounts of a container's root file system.
func (s *Store) Mounted(ctx context.Context, id string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if p, err := s.passingByID(ctx, id); err != nil {
		return 0, err
	} else if p != nil {
		return p.Mounts, nil
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return 0, err
	}
	count, err := lib.Mounted(id)
	if errors.Is(err, cstorage.ErrLayerUnknown) {
		err = cstorage.ErrContainerUnknown
	}
	return count, translate("mounts of", id, err)
}

// MountPoint is where a container's root file system is mounted; empty if it is
// not.
func (s *Store) MountPoint(ctx context.Context, id string) (string, error) {
	if p, err := s.passingByID(ctx, id); err != nil {
		return "", err
	} else if p != nil {
		return p.merged(s), nil
	}
	c, err := s.Container(ctx, id)
	if err != nil {
		return "", err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return "", err
	}
	layer, err := lib.Layer(c.LayerID)
	if err != nil {
		return "", translate("mount of", id, err)
	}
	if layer.MountCount == 0 {
		return "", nil
	}
	return layer.MountPoint, nil
}

// ContainerDir is where files of the container that last are kept.
func (s *Store) ContainerDir(id string) string {
	return filepath.Join(s.conf.GraphRoot, s.conf.GraphDriverName+"-containers", id, "userdata")
}

// RunDir is where files of the container that end with the boot are kept.
func (s *Store) RunDir(id string) string {
	return filepath.Join(s.conf.RunRoot, s.conf.GraphDriverName+"-containers", id, "userdata")
}

// Size is what the container has written over its image, in bytes.
func (s *Store) Size(ctx context.Context, id string) (int64, error) {
	if p, err := s.passingByID(ctx, id); err != nil {
		return 0, err
	} else if p != nil {
		size, err := directory.Size(filepath.Join(s.graphOf(p.layer), "diff"))
		return size, translate("size of", id, err)
	}
	c, err := s.Container(ctx, id)
	if err != nil {
		return 0, err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return 0, err
	}
	size, err := lib.DiffSize("", c.LayerID)
	return size, translate("size of", id, err)
}

// Changes lists what the container has changed over its image.
func (s *Store) Changes(ctx context.Context, id string) ([]archive.Change, error) {
	if err := s.adopt(ctx, id); err != nil {
		return nil, err
	}
	c, err := s.Container(ctx, id)
	if err != nil {
		return nil, err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	changes, err := lib.Changes("", c.LayerID)
	return changes, translate("changes of", id, err)
}

// DiffPath is the directory that holds what the container has written, where
// the driver has one; the root file system itself with vfs.
func (s *Store) DiffPath(ctx context.Context, id string) (string, error) {
	if p, err := s.passingByID(ctx, id); err != nil {
		return "", err
	} else if p != nil {
		return filepath.Join(s.graphOf(p.layer), "diff"), nil
	}
	c, err := s.Container(ctx, id)
	if err != nil {
		return "", err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return "", err
	}
	driver, err := lib.GraphDriver()
	if err != nil {
		return "", fmt.Errorf("driver of the store: %w", err)
	}
	data, err := driver.Metadata(c.LayerID)
	if err != nil {
		return "", translate("layer of", id, err)
	}
	for _, key := range []string{"UpperDir", "MergedDir"} {
		if data[key] != "" {
			return data[key], nil
		}
	}
	return filepath.Join(s.conf.GraphRoot, "vfs", "dir", c.LayerID), nil
}

// DriverData is what inspect shows of the driver: its paths for a container.
func (s *Store) DriverData(ctx context.Context, id string) (map[string]string, error) {
	if p, err := s.passingByID(ctx, id); err != nil {
		return nil, err
	} else if p != nil {
		return p.driverData(s), nil
	}
	c, err := s.Container(ctx, id)
	if err != nil {
		return nil, err
	}
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	driver, err := lib.GraphDriver()
	if err != nil {
		return nil, fmt.Errorf("driver of the store: %w", err)
	}
	data, err := driver.Metadata(c.LayerID)
	if err != nil {
		return nil, translate("layer of", id, err)
	}
	if count, err := lib.Mounted(c.LayerID); err != nil || count == 0 {
		delete(data, "MergedDir")
	}
	return data, nil
}

// ImageSizes returns the size of every image, layers shared by several counted
// for each.
func (s *Store) ImageSizes(ctx context.Context) (map[string]int64, error) {
	lib, err := s.lib(ctx)
	if err != nil {
		return nil, err
	}
	all, err := lib.MultiList(cstorage.MultiListOptions{Images: true, Layers: true})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	layers := make(map[string]*cstorage.Layer, len(all.Layers))
	for i := range all.Layers {
		layers[all.Layers[i].ID] = &all.Layers[i]
	}
	sizes := make(map[string]int64, len(all.Images))
	for i := range all.Images {
		var total int64
		for _, n := range all.Images[i].BigDataSizes {
			total += n
		}
		for layer := layers[all.Images[i].TopLayer]; layer != nil; layer = layers[layer.Parent] {
			total += layer.UncompressedSize
		}
		sizes[all.Images[i].ID] = total
	}
	return sizes, nil
}

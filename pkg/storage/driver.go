package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.podman.io/storage/drivers/overlay"
	"go.podman.io/storage/types"
)

const (
	fuseProgram = "fuse-overlayfs"
	fuseDevice  = "/dev/fuse"
)

// chooseDriver settles the driver: the configured one, else the one that holds
// data already, else the best that works here. Only an empty store is probed.
func chooseDriver(conf *types.StoreOptions) ([]string, error) {
	if conf.GraphDriverName != "" || len(conf.GraphDriverPriority) > 0 {
		return nil, nil
	}
	for _, name := range []string{"overlay", "btrfs", "zfs", "vfs"} {
		if holdsData(conf.GraphRoot, name) {
			conf.GraphDriverName = name
			return nil, nil
		}
	}
	return probe(conf)
}

// holdsData says whether a driver of this name has layers or images in root.
// Its directories alone prove nothing: probing makes them too.
func holdsData(root, driver string) bool {
	for _, file := range []string{"-layers/layers.json", "-images/images.json", "-layers/volatile-layers.json"} {
		// An empty list is "[]".
		if info, err := os.Stat(filepath.Join(root, driver+file)); err == nil && info.Size() > 2 {
			return true
		}
	}
	return false
}

// probe finds the driver for an empty store.
func probe(conf *types.StoreOptions) ([]string, error) {
	conf.GraphDriverName = "overlay"
	for _, opt := range conf.GraphDriverOptions {
		if strings.Contains(opt, "mount_program=") {
			return nil, nil
		}
	}
	home := filepath.Join(conf.GraphRoot, "overlay")
	_, statErr := os.Lstat(home)
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("make the store: %w", noSpace(err))
	}
	native, err := overlay.SupportsNativeOverlay(home, filepath.Join(conf.RunRoot, "overlay"))
	if err != nil {
		return nil, fmt.Errorf("try overlay in %s: %w", conf.GraphRoot, noSpace(err))
	}
	if native {
		return nil, nil
	}
	program, fuseErr := usableFuse()
	if fuseErr == nil {
		conf.GraphDriverOptions = append(conf.GraphDriverOptions[:len(conf.GraphDriverOptions):len(conf.GraphDriverOptions)],
			"overlay.mount_program="+program)
		return nil, nil
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		// Leave no half-made overlay store for other tools to stumble on.
		if err := os.RemoveAll(home); err != nil {
			return nil, fmt.Errorf("undo trying overlay: %w", err)
		}
	}
	conf.GraphDriverName = "vfs"
	return []string{fmt.Sprintf("store %s uses the vfs driver, which copies every layer: "+
		"the kernel refuses overlay there, and %v (pod doctor --check overlay explains)", conf.GraphRoot, fuseErr)}, nil
}

// usableFuse finds fuse-overlayfs; its error names the reason and the remedy.
func usableFuse() (string, error) {
	program, err := exec.LookPath(fuseProgram)
	if err != nil {
		return "", fmt.Errorf("%s is not installed (install the package %s, or move --root to ext4, xfs or btrfs)",
			fuseProgram, fuseProgram)
	}
	device, err := os.OpenFile(fuseDevice, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s may not be opened (as root: chmod 666 %s)", fuseDevice, fuseDevice)
	case err != nil:
		return "", fmt.Errorf("%s is missing (as root: modprobe fuse)", fuseDevice)
	}
	if err := device.Close(); err != nil {
		return "", err
	}
	return program, nil
}

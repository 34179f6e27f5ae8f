package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/homedir"
	"go.podman.io/storage/types"
)

// configure reads storage.conf as every tool on the library does, and lays the
// command line over it.
func configure(opts Options) (types.StoreOptions, error) {
	conf, err := types.DefaultStoreOptions()
	if err != nil {
		return conf, configError(err)
	}
	if opts.Rootless && opts.Root == "" {
		if err := ignoreSystemRoot(&conf); err != nil {
			return conf, err
		}
	}
	if opts.Root != "" {
		if conf.GraphRoot, err = filepath.Abs(opts.Root); err != nil {
			return conf, err
		}
		conf.ImageStore = ""
	}
	if opts.ImageStore != "" {
		if conf.ImageStore, err = filepath.Abs(opts.ImageStore); err != nil {
			return conf, err
		}
	}
	if opts.RunRoot != "" {
		if conf.RunRoot, err = filepath.Abs(opts.RunRoot); err != nil {
			return conf, err
		}
	}
	if opts.Driver != "" {
		conf.GraphDriverName = opts.Driver
		conf.GraphDriverOptions = nil
	}
	for _, dir := range []struct{ name, path string }{{"graphroot", conf.GraphRoot}, {"runroot", conf.RunRoot}} {
		if !filepath.IsAbs(dir.path) {
			return conf, fmt.Errorf("storage configuration: %s %q is not an absolute path", dir.name, dir.path)
		}
	}
	if !knownDriver(conf.GraphDriverName) {
		return conf, fmt.Errorf("storage driver %q is not supported: use overlay or vfs (driver in storage.conf, or --storage-driver)", conf.GraphDriverName)
	}
	switch {
	case len(opts.DriverOpts) == 1 && opts.DriverOpts[0] == "":
		conf.GraphDriverOptions = nil
	case len(opts.DriverOpts) > 0:
		conf.GraphDriverOptions = append([]string(nil), opts.DriverOpts...)
	}
	return conf, nil
}

// knownDriver says whether the library was built with a driver; empty lets it be
// chosen.
func knownDriver(name string) bool {
	switch name {
	case "", "overlay", "overlay2", "vfs", "zfs":
		return true
	}
	return false
}

// configError names the file and the reason; the library's own words do so for
// what it cannot parse.
func configError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("storage configuration %s: %w", path.Path, path.Err)
	}
	return fmt.Errorf("storage configuration: %w", err)
}

// ignoreSystemRoot keeps a user's store out of the system's directories. The
// library of today applies graphroot and runroot of /etc and /usr/share to
// users too; distributions ship files that name root's store there, and the
// podman of those distributions ignores it. Without this the two would not
// share a store.
func ignoreSystemRoot(conf *types.StoreOptions) error {
	if os.Getenv("CONTAINERS_STORAGE_CONF") != "" {
		return nil
	}
	if dir, err := configfile.UserConfigPath(); err == nil {
		if _, err := os.Lstat(filepath.Join(dir, "storage.conf")); err == nil {
			return nil
		}
	}
	data, err := homedir.GetDataHome()
	if err != nil {
		return fmt.Errorf("find the data directory: %w", err)
	}
	run, err := homedir.GetRuntimeDir()
	if err != nil {
		return fmt.Errorf("find the run directory: %w", err)
	}
	if !strings.HasPrefix(conf.GraphRoot, "/var/") && !strings.HasPrefix(conf.GraphRoot, "/usr/") {
		// A home of its own, or rootless_storage_path.
		return ignoreSystemRunRoot(conf, run)
	}
	conf.GraphRoot = filepath.Join(data, "containers", "storage")
	conf.ImageStore = ""
	return ignoreSystemRunRoot(conf, run)
}

func ignoreSystemRunRoot(conf *types.StoreOptions, run string) error {
	if conf.RunRoot == "/run/containers/storage" || conf.RunRoot == "/var/run/containers/storage" {
		conf.RunRoot = filepath.Join(run, "containers")
	}
	return nil
}

// privateDir makes the run root, and refuses one that others could write to:
// mount points and locks are in it.
func privateDir(dir string, uid int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("run directory: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("run directory %s is not a directory: remove it, or use --runroot", dir)
	case !ok:
		return nil
	case int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("run directory %s does not belong to uid %d: use --runroot, or set XDG_RUNTIME_DIR", dir, uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("run directory %s can be written to by others: chmod 700 %s", dir, dir)
	}
	return nil
}

// ignoreOwners lets images be unpacked when the namespace has one id only, as
// for a user without sub-ids: every file then belongs to that id.
func ignoreOwners(conf *types.StoreOptions) {
	single, err := singleID("/proc/self/uid_map")
	if err != nil || !single {
		return
	}
	driver := conf.GraphDriverName
	if driver != "vfs" {
		driver = "overlay"
	}
	for _, opt := range conf.GraphDriverOptions {
		if strings.Contains(opt, "ignore_chown_errors=") {
			return
		}
	}
	conf.GraphDriverOptions = append(conf.GraphDriverOptions[:len(conf.GraphDriverOptions):len(conf.GraphDriverOptions)],
		driver+".ignore_chown_errors=true")
}

// singleID says whether a uid_map maps exactly one id.
func singleID(path string) (bool, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	var inside, outside, size uint64
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(lines) != 1 {
		return false, nil
	}
	if _, err := fmt.Sscan(lines[0], &inside, &outside, &size); err != nil {
		return false, fmt.Errorf("parse %s: %w", path, err)
	}
	return size == 1, nil
}

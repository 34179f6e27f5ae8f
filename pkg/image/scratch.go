package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	commonconfig "go.podman.io/common/pkg/config"
	"golang.org/x/sys/unix"
)

// scratchPrefix begins the directories of temporary files, which can be as big
// as images. A process holds a lock on its own; one that nobody holds was left by
// a kill, and the next process that needs one removes it.
const scratchPrefix = "pod-images-"

// scratch is the directory for temporary files of this process.
type scratch struct{ lock *os.File }

// scratchBase is where big temporary files are to be: TMPDIR, containers.conf's
// image_copy_tmp_dir or /var/tmp.
func scratchBase() (string, error) {
	conf, err := commonconfig.Default()
	if err != nil {
		return "", fmt.Errorf("read containers.conf: %w", err)
	}
	base, err := conf.ImageCopyTmpDir()
	if err != nil {
		return "", err
	}
	if base == "" {
		base = "/var/tmp"
	}
	return base, nil
}

// newScratch removes what dead processes left in base and makes a directory.
func newScratch(base string) (*scratch, error) {
	sweepScratch(base)
	for range 10 {
		dir, err := os.MkdirTemp(base, scratchPrefix)
		if err != nil {
			return nil, fmt.Errorf("make a directory for temporary files (see TMPDIR, image_copy_tmp_dir): %w", err)
		}
		lock, err := lockDir(dir)
		if err == nil {
			return &scratch{lock: lock}, nil
		}
		// Another process took it for one that was left.
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), os.RemoveAll(dir))
		}
	}
	return nil, fmt.Errorf("make a directory for temporary files in %s: others remove it", base)
}

// lockDir opens a directory and locks it, if it is still there then.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_, err = os.Lstat(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweepScratch removes directories of processes that are dead. base may be
// shared with other users: only one's own are touched. That it fails is no reason
// not to go on.
func sweepScratch(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), scratchPrefix) {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
			continue
		}
		dir := filepath.Join(base, entry.Name())
		lock, err := lockDir(dir)
		if err != nil {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}

func (s *scratch) path() string { return s.lock.Name() }

// close removes the directory.
func (s *scratch) close() error {
	return errors.Join(os.RemoveAll(s.path()), s.lock.Close())
}

package image

import (
	"fmt"

	commonconfig "go.podman.io/common/pkg/config"

	"github.com/rootless-pod/pod/internal/heldir"
)

// scratchPrefix begins the directories of temporary files, which can be as big
// as images. A process holds a lock on its own; one that nobody holds was left by
// a kill, and the next process that needs one, or a prune, removes it.
const scratchPrefix = "pod-images-"

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

// sweepScratch removes what dead processes left where temporary files are now.
func sweepScratch() {
	if base, err := scratchBase(); err == nil {
		heldir.Sweep(base, scratchPrefix, nil)
	}
}

// newScratch removes what dead processes left in base and makes a directory.
func newScratch(base string) (*heldir.Dir, error) {
	heldir.Sweep(base, scratchPrefix, nil)
	dir, err := heldir.New(base, scratchPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a directory for temporary files (see TMPDIR, image_copy_tmp_dir): %w", err)
	}
	return dir, nil
}

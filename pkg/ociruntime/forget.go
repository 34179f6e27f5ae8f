package ociruntime

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Forget removes what crun holds of a container all of whose processes have
// ended: its cgroup, a directory below which nothing runs (empty: it has none),
// and its state. It starts no runtime, which takes longer than the rest of a
// clean-up. False means that Delete must do it: after another runtime, or when
// the cgroup is not there or is busy.
func (r *Runtime) Forget(id, cgroup string) (bool, error) {
	if !r.isCrun() || r.StateRoot == "" || id == "" || id == "." || id == ".." || filepath.Base(id) != id {
		return false, nil
	}
	if cgroup != "" && !removeCgroup(cgroup) {
		return false, nil
	}
	if err := os.RemoveAll(filepath.Join(r.StateRoot, id)); err != nil {
		return false, fmt.Errorf("remove the runtime's state of container %s: %w", id, err)
	}
	return true, nil
}

// removeCgroup removes a cgroup and those the container has made below it,
// innermost first: only rmdir works there.
func removeCgroup(dir string) bool {
	if unix.Rmdir(dir) == nil {
		return true
	}
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		return false
	}
	for _, path := range slices.Backward(all) {
		if unix.Rmdir(path) != nil {
			return false
		}
	}
	return true
}

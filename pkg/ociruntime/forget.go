package ociruntime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Forget removes what crun holds of a container all of whose processes have
// ended: its cgroup, a directory below which nothing runs (empty: it has none),
// and its state. It starts no runtime, which takes longer than the rest of a
// clean-up. False means that Delete must do it: after another runtime, or when
// the cgroup is not there or is busy.
func (r *Runtime) Forget(id, cgroup string) (bool, error) {
	dir := r.crunState(id)
	if dir == "" {
		return false, nil
	}
	if cgroup != "" && !removeCgroup(cgroup) {
		return false, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return false, fmt.Errorf("remove the runtime's state of container %s: %w", id, err)
	}
	return true, nil
}

// crunState is the directory in which crun has the state of a container; empty with
// another runtime, or if it is not known.
func (r *Runtime) crunState(id string) string {
	if !r.isCrun() || r.StateRoot == "" || id == "" || id == "." || id == ".." || filepath.Base(id) != id {
		return ""
	}
	return filepath.Join(r.StateRoot, id)
}

// cgroupPatience bounds the wait for killed processes to leave their cgroup.
const cgroupPatience = 2 * time.Second

// EndCgroup kills what is in a cgroup (cgroup.kill, the kernel's cgroup-v2.rst)
// and removes it. A runtime that was killed between its mkdir and its first state
// leaves one that Delete does not know of. None there is no error.
func EndCgroup(ctx context.Context, dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end the cgroup of a killed start: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, cgroupPatience)
	defer cancel()
	for !removeCgroup(dir) {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroup %s: its processes do not end", dir)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
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

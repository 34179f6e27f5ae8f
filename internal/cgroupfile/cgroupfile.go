// Package cgroupfile keeps and puts back the limits of a cgroup of version 2, so
// that a change that goes wrong half way can be undone. What a limit means is
// left to others.
package cgroupfile

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// limits are the files that an OCI runtime writes limits to.
func limits() []string {
	return []string{
		"memory.max", "memory.low", "memory.swap.max", "cpu.max", "cpu.weight", "cpu.idle",
		"cpuset.cpus", "cpuset.mems", "pids.max", "io.max", "io.weight", "io.bfq.weight",
	}
}

// Save reads the limits that the cgroup in dir has now.
func Save(dir string) (map[string]string, error) {
	saved := map[string]string{}
	for _, name := range limits() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, os.ErrNotExist): // no such controller here
		case err != nil:
			return nil, fmt.Errorf("read limit: %w", err)
		default:
			saved[name] = string(data)
		}
	}
	return saved, nil
}

// Restore gives a cgroup its saved limits back. Files that are as they were are
// not written; every other one is tried.
func Restore(dir string, saved map[string]string) error {
	var failed error
	for _, name := range slices.Sorted(maps.Keys(saved)) {
		path := filepath.Join(dir, name)
		now, err := os.ReadFile(path)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("read limit: %w", err))
			continue
		}
		if string(now) == saved[name] {
			continue
		}
		for _, line := range restoring(name, string(now), saved[name]) {
			// The mode counts only where the file does not exist.
			if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
				failed = errors.Join(failed, fmt.Errorf("restore limit: %w", err))
			}
		}
	}
	return failed
}

// restoring are the lines to write, one at a time. A file with a line a device
// holds more than one value; a device that is not in the saved one had none.
func restoring(name, now, saved string) []string {
	none, keyed := map[string]string{
		"io.max": "rbps=max wbps=max riops=max wiops=max", "io.weight": "default", "io.bfq.weight": "default",
	}[name]
	if !keyed {
		return []string{strings.TrimSpace(saved)}
	}
	var lines []string
	had := map[string]bool{}
	for line := range strings.Lines(saved) {
		key, _, _ := strings.Cut(line, " ")
		had[key] = true
		lines = append(lines, strings.TrimSpace(line))
	}
	for line := range strings.Lines(now) {
		if key, _, _ := strings.Cut(line, " "); strings.Contains(key, ":") && !had[key] {
			lines = append(lines, key+" "+none)
		}
	}
	return lines
}

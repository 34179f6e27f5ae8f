package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memory is the proportional memory (PSS, in MB) of what runs beside each of n idle
// containers on the default network: monitor and network helper, but not the
// container's own process.
func (b *bench) memory(n int) func(context.Context, *tool, string) (float64, error) {
	return func(ctx context.Context, t *tool, id string) (float64, error) {
		before, err := processes()
		if err != nil {
			return 0, err
		}
		for i := range n {
			file := filepath.Join(b.runDir, "pid")
			if _, err := t.run(ctx, "run", "-d", "--name", nth(id, i), "--pidfile", file, b.image, "sleep", "100000"); err != nil {
				return 0, err
			}
			pid, err := os.ReadFile(file)
			if err != nil {
				return 0, err
			}
			before[strings.TrimSpace(string(pid))] = true
		}
		settle(ctx)
		after, err := processes()
		if err != nil {
			return 0, err
		}
		total := 0.0
		for pid := range after {
			if before[pid] {
				continue
			}
			pss, err := pss(pid)
			if err != nil {
				return 0, err
			}
			total += pss
		}
		if total == 0 {
			return 0, fmt.Errorf("%s: no process beside the container", t.name)
		}
		return total / float64(n), nil
	}
}

// nth is the name of one of several containers of a round.
func nth(id string, i int) string {
	if i == 0 {
		return id
	}
	return id + "-" + strconv.Itoa(i)
}

// processes are the pids of this user's processes.
func processes() (map[string]bool, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			all[e.Name()] = true
		}
	}
	return all, nil
}

// pss reads a process' share of memory in MB. A process that is gone has none.
func pss(pid string) (float64, error) {
	data, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
	if err != nil {
		if _, gone := os.Stat("/proc/" + pid); gone != nil {
			return 0, nil //nolint:nilerr // it has ended
		}
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kb / 1024, err
		}
	}
	return 0, nil
}

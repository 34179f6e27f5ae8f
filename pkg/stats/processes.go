package stats

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is what the table says of one process.
type process struct {
	pid, parent int
	ns          string // its pid namespace
	cgroup      string
	user, sys   uint64 // ticks, with those of children that were waited for
	childUser   uint64
	childSys    uint64
	threads     uint64
	pages       uint64 // resident
}

// processTable are the processes of the machine, by pid.
type processTable map[int]*process

const (
	// tick is how long the kernel's unit of processor time is, in nanoseconds:
	// USER_HZ is 100 on every architecture that Linux still has.
	tick = 10_000_000
)

// scan reads all processes that can be seen.
func (c *Collector) scan() processTable {
	table := processTable{}
	entries, err := os.ReadDir(c.proc())
	if err != nil {
		return table
	}
	r := reader{Collector: c, buf: make([]byte, bufferSize)}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(c.proc(), entry.Name())
		data, ok := r.read(dir + "/stat")
		if !ok {
			continue
		}
		p := parseStat(data)
		if p == nil {
			continue
		}
		p.pid = pid
		p.ns, _ = os.Readlink(dir + "/ns/pid") // refused for others' processes
		if data, ok := r.read(dir + "/cgroup"); ok {
			for line := range strings.Lines(string(data)) {
				if path, ok := strings.CutPrefix(line, "0::"); ok {
					p.cgroup = strings.TrimSuffix(path, "\n")
				}
			}
		}
		table[pid] = p
	}
	return table
}

// parseStat reads /proc/PID/stat (proc_pid_stat(5)); nil if it is none, or of a
// process that has ended.
func parseStat(data []byte) *process {
	end := bytes.LastIndexByte(data, ')') // the name before it may hold anything
	if end < 0 {
		return nil
	}
	f := strings.Fields(string(data[end+1:]))
	if len(f) < 22 {
		return nil
	}
	n := func(i int) uint64 { return number([]byte(f[i-3])) } // the fields after the name, from 3 on
	return &process{
		parent: int(n(4)), user: n(14), sys: n(15), childUser: n(16), childSys: n(17), threads: n(20), pages: n(24), //nolint:gosec // a pid
	}
}

// of lists the processes of a container: those of its pid namespace, of its
// cgroup, and the descendants of its first process. Nil if that is gone.
func (t processTable) of(target Target) []*process {
	first := t[target.PID]
	if first == nil {
		return nil
	}
	below := func(p *process) bool {
		for depth := 0; p != nil && depth < 64; depth++ {
			if p == first {
				return true
			}
			p = t[p.parent]
		}
		return false
	}
	var found []*process
	for _, p := range t {
		switch {
		case p == first,
			!target.SharedPID && first.ns != "" && p.ns == first.ns,
			target.Cgroup != "" && target.Cgroup != "/" && (p.cgroup == target.Cgroup || strings.HasPrefix(p.cgroup, target.Cgroup+"/")),
			below(p):
			found = append(found, p)
		}
	}
	return found
}

// addUp fills what the cgroup did not say. Memory that processes share counts for
// each of them; the I/O of processes that have ended is lost.
func (r *reader) addUp(s *Sample, found []*process) {
	var user, sys, pages, threads uint64
	for _, p := range found {
		user, sys = user+p.user, sys+p.sys
		// A child that was waited for is in its parent's sums, with its own.
		user, sys = user+p.childUser, sys+p.childSys
		pages, threads = pages+p.pages, threads+p.threads
	}
	if len(found) == 0 {
		return
	}
	if !s.CPU.Known {
		s.CPU, s.CPUSystem = known((user+sys)*tick), known(sys*tick)
	}
	if !s.Memory.Known {
		s.Memory = known(pages * uint64(os.Getpagesize())) //nolint:gosec // positive
	}
	if !s.Pids.Known {
		s.Pids = known(threads)
	}
	if s.BlockIn.Known {
		return
	}
	for _, p := range found {
		data, ok := r.read(filepath.Join(r.proc(), strconv.Itoa(p.pid), "io"))
		if !ok {
			continue
		}
		if n, ok := field(data, "read_bytes:"); ok {
			s.BlockIn.add(n)
		}
		if n, ok := field(data, "write_bytes:"); ok {
			s.BlockOut.add(n)
		}
	}
}

package libpod

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// proc is what /proc says of a process. Ids are those of pod's own user
// namespace; nothing of it was read inside the container.
type proc struct {
	pid, ppid, pgid int // as pod sees them
	state           string
	tty             uint64
	ticks           uint64 // user and system time
	start           uint64 // ticks since boot
	nice            string
	vsize           uint64
	comm            string
	status          map[string][]string // fields of /proc/PID/status
	args            []string
	label           string
}

// processes are the processes of a container whose first process is init: those
// in its pid namespace and below it. When that namespace is not the container's
// own, they are init's descendants and the members of its cgroup.
func processes(init int, own bool, cgroup string) ([]*proc, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", init))
	if err != nil {
		return nil, fmt.Errorf("read the pid namespace of process %d: %w", init, err)
	}
	parents := map[int]int{}
	members := map[int]bool{init: true}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		p, err := readProc(pid)
		if err != nil {
			continue // gone, or not ours to see
		}
		parents[pid] = p.ppid
		if own {
			link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
			members[pid] = err == nil && link == namespace
			continue
		}
		members[pid] = members[pid] || (cgroup != "" && cgroup != "/" && processCgroup(pid) == cgroup)
	}
	var list []*proc
	for pid := range parents {
		if !belongs(pid, members, parents) {
			continue
		}
		p, err := readProc(pid)
		if err == nil {
			err = p.more()
		}
		if err == nil {
			list = append(list, p)
		} else if !gone(err) {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b *proc) int { return a.pid - b.pid })
	return list, nil
}

// belongs says whether pid or an ancestor of it is a member: a process that made
// a namespace below the container's is still the container's.
func belongs(pid int, members map[int]bool, parents map[int]int) bool {
	for range len(parents) + 1 {
		if members[pid] {
			return true
		}
		parent, ok := parents[pid]
		if !ok || parent == pid {
			return false
		}
		pid = parent
	}
	return false
}

func gone(err error) bool { return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) }

// readProc reads /proc/PID/stat.
func readProc(pid int) (*proc, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("read process %d: %w", pid, err)
	}
	return parseProc(pid, line)
}

// parseProc reads a line of /proc/PID/stat. The name in it may hold anything.
func parseProc(pid int, line []byte) (*proc, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return nil, fmt.Errorf("read process %d: stat line has no name", pid)
	}
	f := strings.Fields(string(line[end+1:]))
	if len(f) < 21 {
		return nil, fmt.Errorf("read process %d: stat line is too short", pid)
	}
	p := &proc{pid: pid, comm: string(line[open+1 : end]), state: f[0], nice: f[16]}
	var errs []error
	number := func(i int) uint64 {
		n, err := strconv.ParseUint(f[i], 10, 64)
		errs = append(errs, err)
		return n
	}
	p.ppid, p.pgid = int(number(1)), int(number(2)) //nolint:gosec // pids
	p.tty, p.ticks, p.start, p.vsize = number(4)&0xffffffff, number(11)+number(12), number(19), number(20)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("read process %d: stat line: %w", pid, err)
	}
	return p, nil
}

// more reads what stat does not say.
func (p *proc) more() error {
	dir := filepath.Join("/proc", strconv.Itoa(p.pid))
	data, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return fmt.Errorf("read process %d: %w", p.pid, err)
	}
	p.status = parseStatus(data)
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return fmt.Errorf("read process %d: %w", p.pid, err)
	}
	if len(cmdline) > 0 {
		p.args = strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
	}
	if label, err := os.ReadFile(filepath.Join(dir, "attr/current")); err == nil {
		p.label = strings.TrimRight(string(label), "\x00\n")
	}
	return nil
}

// parseStatus reads /proc/PID/status.
func parseStatus(data []byte) map[string][]string {
	fields := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[key] = strings.Fields(value)
		}
	}
	return fields
}

// at is one value of a field of status; empty if there is none.
func (p *proc) at(field string, i int) string {
	if values := p.status[field]; i >= 0 && i < len(values) {
		return values[i]
	}
	return ""
}

// uptime is the time since boot, in ticks.
func uptime() (uint64, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return uint64(ts.Sec)*ticksPerSecond + uint64(ts.Nsec)/(1e9/ticksPerSecond), nil //nolint:gosec // not negative
}

// ticksPerSecond is what the kernel counts in towards user space, everywhere.
const ticksPerSecond = 100

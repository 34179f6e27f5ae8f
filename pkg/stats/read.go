package stats

import (
	"bytes"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bufferSize holds the longest of the files, memory.stat, several times over.
const bufferSize = 32 << 10

func (c *Collector) proc() string {
	if c.Proc == "" {
		return "/proc"
	}
	return c.Proc
}

func (c *Collector) cgroupRoot() string {
	if c.CgroupRoot == "" {
		return "/sys/fs/cgroup"
	}
	return c.CgroupRoot
}

// memTotal is the machine's memory, 0 if unknown.
func (c *Collector) memTotal() uint64 {
	r := reader{Collector: c, buf: make([]byte, bufferSize)}
	data, _ := r.read(filepath.Join(c.proc(), "meminfo"))
	kib, _ := field(data, "MemTotal:")
	return kib << 10
}

// reader reads one container after the other into one buffer.
type reader struct {
	*Collector
	total     uint64
	processes func() processTable
	buf       []byte
}

// read returns a file's content, valid until the next call. Plain system calls:
// os.ReadFile would tell the poller of each of thousands of files.
func (r *reader) read(path string) ([]byte, bool) { return r.readAt(unix.AT_FDCWD, path) }

// readAt is read below an open directory, which saves the walk there.
func (r *reader) readAt(dir int, path string) ([]byte, bool) {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer func() { _ = unix.Close(fd) }()
	n := 0
	for n < len(r.buf) {
		m, err := unix.Read(fd, r.buf[n:])
		if err == unix.EINTR { //nolint:errorlint // a number, as it comes from the kernel
			continue
		}
		if err != nil {
			return nil, false
		}
		if m == 0 {
			break
		}
		n += m
	}
	return r.buf[:n], true
}

// sample measures one container; false if it is gone.
func (r *reader) sample(t Target) (Sample, bool) {
	s := Sample{Target: t, Time: time.Now()}
	if t.Cgroup != "" && t.Cgroup != "/" {
		r.cgroup(&s, filepath.Join(r.cgroupRoot(), t.Cgroup))
	}
	if !s.CPU.Known || !s.Memory.Known || !s.BlockIn.Known || !s.Pids.Known {
		found := r.processes().of(t)
		if found == nil && !s.CPU.Known {
			return s, false
		}
		r.addUp(&s, found)
	}
	if !s.MemoryLimit.Known && r.total > 0 {
		s.MemoryLimit = known(r.total)
	}
	if !t.HostNetwork {
		r.network(&s)
	}
	return s, true
}

// cgroup reads what the cgroup counts.
func (r *reader) cgroup(s *Sample, path string) {
	dir, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(dir) }()
	if data, ok := r.readAt(dir, "cpu.stat"); ok {
		if usec, ok := field(data, "usage_usec"); ok {
			s.CPU = known(usec * 1000)
		}
		if usec, ok := field(data, "system_usec"); ok {
			s.CPUSystem = known(usec * 1000)
		}
	}
	if data, ok := r.readAt(dir, "memory.current"); ok {
		s.Memory = known(number(data))
		if data, ok := r.readAt(dir, "memory.stat"); ok {
			// The cache that would be dropped first, as docker and Kubernetes do.
			idle, _ := field(data, "inactive_file")
			s.Memory.N -= min(idle, s.Memory.N)
		}
		if data, ok := r.readAt(dir, "memory.max"); ok && !bytes.HasPrefix(data, []byte("max")) {
			s.MemoryLimit = known(number(data))
			if r.total > 0 {
				s.MemoryLimit.N = min(s.MemoryLimit.N, r.total)
			}
		}
	}
	if data, ok := r.readAt(dir, "io.stat"); ok {
		s.BlockIn, s.BlockOut = known(0), known(0)
		for word := range bytes.FieldsSeq(data) {
			if n, ok := bytes.CutPrefix(word, []byte("rbytes=")); ok {
				s.BlockIn.N += number(n)
			} else if n, ok := bytes.CutPrefix(word, []byte("wbytes=")); ok {
				s.BlockOut.N += number(n)
			}
		}
	}
	if data, ok := r.readAt(dir, "pids.current"); ok {
		s.Pids = known(number(data))
	}
}

// network reads the interfaces of the first process's network namespace.
func (r *reader) network(s *Sample) {
	data, ok := r.read(filepath.Join(r.proc(), strconv.Itoa(s.PID), "net/dev"))
	if !ok {
		return
	}
	s.Network = map[string]Interface{}
	s.NetIn, s.NetOut = known(0), known(0)
	for line := range strings.Lines(string(data)) {
		name, counts, ok := strings.Cut(line, ":")
		f := strings.Fields(counts)
		if name = strings.TrimSpace(name); !ok || name == "lo" || len(f) < 12 {
			continue
		}
		n := func(i int) uint64 { return number([]byte(f[i])) }
		s.Network[name] = Interface{
			RxBytes: n(0), RxPackets: n(1), RxErrors: n(2), RxDropped: n(3),
			TxBytes: n(8), TxPackets: n(9), TxErrors: n(10), TxDropped: n(11),
		}
		s.NetIn.N += n(0)
		s.NetOut.N += n(8)
	}
}

// field finds "KEY NUMBER" at the beginning of a line.
func field(data []byte, key string) (uint64, bool) {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		if len(line) > len(key) && string(line[:len(key)]) == key && (line[len(key)] == ' ' || line[len(key)] == '\t') {
			return number(bytes.TrimLeft(line[len(key):], " \t")), true
		}
		data = rest
	}
	return 0, false
}

// number reads the digits that data begins with; what is too large is the most.
func number(data []byte) uint64 {
	var n uint64
	for _, c := range data {
		if c < '0' || c > '9' {
			break
		}
		if n > (math.MaxUint64-9)/10 {
			return math.MaxUint64
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

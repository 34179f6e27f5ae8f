package stats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tree writes files below a directory.
func tree(tb testing.TB, root string, files map[string]string) {
	tb.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

const netDev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     999       9    0    0    0     0          0         0      999       9    0    0    0     0       0          0
  tap0:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0       0          0
  eth1:5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
`

func full() map[string]string {
	return map[string]string{
		"cpu.stat":       "usage_usec 2000000\nuser_usec 1500000\nsystem_usec 500000\nnr_periods 0\n",
		"memory.current": "10000\n", "memory.max": "40000\n", "memory.stat": "anon 5\ninactive_file 4000\nactive_file 2\n",
		"io.stat": "8:0 rbytes=100 wbytes=200 rios=1 wios=1 dbytes=7 dios=0\n8:16 rbytes=1 wbytes=2\n", "pids.current": "3\n",
	}
}

func TestCollectFromCgroup(t *testing.T) {
	cg, proc := t.TempDir(), t.TempDir()
	tree(t, filepath.Join(cg, "a/pod-1"), full())
	tree(t, proc, map[string]string{"meminfo": "MemTotal:       100 kB\nMemFree: 1 kB\n", "7/net/dev": netDev})
	c := Collector{CgroupRoot: cg, Proc: proc}
	started := time.Now().Add(-10 * time.Second)
	got, err := c.Collect(t.Context(), []Target{{ID: "1", Cgroup: "/a/pod-1", PID: 7, Started: started}})
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	s := got[0]
	for name, v := range map[string]struct {
		got  Value
		want uint64
	}{
		"cpu": {s.CPU, 2e9}, "system": {s.CPUSystem, 5e8}, "memory": {s.Memory, 6000}, "limit": {s.MemoryLimit, 40000},
		"read": {s.BlockIn, 101}, "written": {s.BlockOut, 202}, "pids": {s.Pids, 3}, "in": {s.NetIn, 1005}, "out": {s.NetOut, 2006},
	} {
		if !v.got.Known || v.got.N != v.want {
			t.Errorf("%s: got %+v, want %d", name, v.got, v.want)
		}
	}
	if s.Network["tap0"] != (Interface{1000, 2, 1, 10, 2000, 4, 3, 20}) || len(s.Network) != 2 {
		t.Errorf("network %+v", s.Network)
	}
	if p := s.MemoryPercent(); p != 15 {
		t.Errorf("memory %f %%", p)
	}
	if p := s.CPUPercent(nil); p < 19 || p > 21 {
		t.Errorf("cpu since the start %f %%", p)
	}
	later := s
	later.CPU.N += 1e9
	later.Time = s.Time.Add(2 * time.Second)
	if p := later.CPUPercent(&s); p != 50 {
		t.Errorf("cpu %f %%", p)
	}
	later.Started = s.Time // it was started again meanwhile
	if p := later.CPUPercent(&s); p != 150 {
		t.Errorf("cpu of another run %f %%", p)
	}
}

// Without a limit, or with one above it, the machine's memory is the limit.
func TestMemoryLimit(t *testing.T) {
	for _, limit := range []string{"max\n", "99999999\n", "18446744073709551615999\n"} {
		cg, proc := t.TempDir(), t.TempDir()
		files := full()
		files["memory.max"] = limit
		tree(t, filepath.Join(cg, "c"), files)
		tree(t, proc, map[string]string{"meminfo": "MemTotal: 100 kB\n"})
		c := Collector{CgroupRoot: cg, Proc: proc}
		got, err := c.Collect(t.Context(), []Target{{Cgroup: "/c", HostNetwork: true}})
		if err != nil || len(got) != 1 || got[0].MemoryLimit.N != 102400 || got[0].NetIn.Known {
			t.Errorf("limit %q: got %+v, %v", limit, got, err)
		}
	}
}

// stat makes a /proc/PID/stat; the name tries to look like fields.
func stat(parent, user, sys, childUser, threads, pages int) string {
	return fmt.Sprintf("1 (a) b (c)) S %d 1 1 0 -1 0 0 0 0 0 %d %d %d 0 20 0 %d 0 100 4096 %d 0\n", parent, user, sys, childUser, threads, pages)
}

// Without controllers the processes of the container are summed up.
func TestCollectFromProcesses(t *testing.T) {
	cg, proc := t.TempDir(), t.TempDir()
	tree(t, proc, map[string]string{
		"meminfo": "MemTotal: 100 kB\n",
		"1/stat":  stat(0, 1000, 1000, 0, 1, 100), "1/cgroup": "0::/init\n",
		"10/stat": stat(1, 10, 5, 3, 1, 2), "10/cgroup": "0::/c\n", "10/io": "rchar: 9\nread_bytes: 50\nwrite_bytes: 60\n", "10/net/dev": netDev,
		"11/stat": stat(10, 1, 1, 0, 4, 3), "11/cgroup": "0::/c/sub\n", "11/io": "read_bytes: 1\nwrite_bytes: 2\n",
		"12/stat": stat(1, 100, 0, 0, 1, 1), "12/cgroup": "0::/cc\n",
		"13/stat": stat(1, 100, 0, 0, 1, 1), "13/cgroup": "0::/d\n",
	})
	for pid, ns := range map[string]string{"1": "A", "10": "B", "11": "B", "12": "A", "13": "B"} {
		if err := os.MkdirAll(filepath.Join(proc, pid, "ns"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("pid:["+ns+"]", filepath.Join(proc, pid, "ns/pid")); err != nil {
			t.Fatal(err)
		}
	}
	c := Collector{CgroupRoot: cg, Proc: proc}
	page := uint64(os.Getpagesize())
	cases := map[string]struct {
		target             Target
		cpu, memory, pids  uint64
		blockIn, processes uint64
	}{
		"namespace":        {Target{PID: 10}, 120, 6, 6, 51, 3},
		"cgroup, children": {Target{PID: 10, Cgroup: "/c", SharedPID: true}, 20, 5, 5, 51, 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := c.Collect(t.Context(), []Target{tc.target, {ID: "gone", PID: 99}})
			if err != nil || len(got) != 1 {
				t.Fatalf("got %+v, %v", got, err)
			}
			s := got[0]
			if s.CPU.N != tc.cpu*tick || s.Memory.N != tc.memory*page || s.Pids.N != tc.pids || s.BlockIn.N != tc.blockIn || !s.CPU.Known {
				t.Errorf("got cpu %v memory %v pids %v block %v", s.CPU.N/tick, s.Memory.N/page, s.Pids.N, s.BlockIn.N)
			}
		})
	}
}

// A cgroup always counts the processor; the rest comes from processes, and what
// they do not show either is unknown.
func TestCollectWithoutControllers(t *testing.T) {
	cg, proc := t.TempDir(), t.TempDir()
	tree(t, cg, map[string]string{"c/cpu.stat": "usage_usec 7\nuser_usec 4\nsystem_usec 3\n"})
	tree(t, proc, map[string]string{"10/stat": stat(1, 10, 5, 0, 2, 3), "10/cgroup": "0::/c\n"})
	c := Collector{CgroupRoot: cg, Proc: proc}
	got, err := c.Collect(t.Context(), []Target{{PID: 10, Cgroup: "/c"}})
	if err != nil || len(got) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	s := got[0]
	if s.CPU != known(7000) || s.Pids != known(2) || !s.Memory.Known || s.BlockIn.Known || s.MemoryLimit.Known || s.NetIn.Known {
		t.Errorf("got %+v", s)
	}
}

func TestSamples(t *testing.T) {
	cg, proc := t.TempDir(), t.TempDir()
	tree(t, filepath.Join(cg, "c"), full())
	c := Collector{CgroupRoot: cg, Proc: proc}
	rounds := 0
	for samples, err := range c.Samples(t.Context(), time.Millisecond, func(context.Context) ([]Target, error) { return []Target{{Cgroup: "/c"}}, nil }) {
		if err != nil || len(samples) != 1 {
			t.Fatalf("got %v, %v", samples, err)
		}
		if rounds++; rounds == 3 {
			break
		}
	}
	broken := errors.New("broken")
	rounds = 0
	for _, err := range c.Samples(t.Context(), time.Millisecond, func(context.Context) ([]Target, error) { return nil, broken }) {
		if rounds++; !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
	if rounds != 1 {
		t.Errorf("an error came %d times", rounds)
	}
}

func BenchmarkCollect1000(b *testing.B) {
	cg, proc := b.TempDir(), b.TempDir()
	var targets []Target
	for i := range 1000 {
		id := fmt.Sprintf("pod-%d", i)
		tree(b, filepath.Join(cg, id), full())
		tree(b, proc, map[string]string{fmt.Sprintf("%d/net/dev", i+1): netDev})
		targets = append(targets, Target{ID: id, Cgroup: "/" + id, PID: i + 1})
	}
	c := Collector{CgroupRoot: cg, Proc: proc}
	for b.Loop() {
		if got, err := c.Collect(b.Context(), targets); err != nil || len(got) != 1000 {
			b.Fatal(len(got), err)
		}
	}
}

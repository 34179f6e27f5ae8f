// Package stats measures what running containers use: processor, memory, block
// I/O and processes from the files of their cgroups (version 2), the network from
// their first process. Where a cgroup lacks a controller, the container's
// processes are summed up instead; what nobody knows is not Known. Which
// containers there are, and how numbers are shown, is left to others.
package stats

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"time"
)

// Target is a container that runs.
type Target struct {
	ID, Name string
	// Cgroup is its path below the root of the unified hierarchy; empty: it has
	// none of its own.
	Cgroup string
	// PID is its first process.
	PID int
	// Started is when it was started.
	Started time.Time
	// HostNetwork: its network is not its own, and is not measured.
	HostNetwork bool
	// SharedPID: its pid namespace is not its own, so that processes cannot be
	// told by that.
	SharedPID bool
}

// Value is a number that may be unknown.
type Value struct {
	N     uint64
	Known bool
}

func known(n uint64) Value { return Value{N: n, Known: true} }

func (v *Value) add(n uint64) { v.N, v.Known = v.N+n, true }

// Interface counts what went through a network interface.
type Interface struct {
	RxBytes, RxDropped, RxErrors, RxPackets uint64
	TxBytes, TxDropped, TxErrors, TxPackets uint64
}

// Sample is what a container had used at a moment, counted from its start.
type Sample struct {
	Target
	Time time.Time
	// CPU and CPUSystem in nanoseconds of processor; the latter in the kernel.
	CPU, CPUSystem Value
	// Memory in bytes without what the kernel would give back at once, and
	// its limit: the machine's memory, if there is no lower one.
	Memory, MemoryLimit Value
	// NetIn and NetOut in bytes, over all interfaces but the loopback.
	NetIn, NetOut Value
	Network       map[string]Interface
	// BlockIn was read from devices, BlockOut written, in bytes.
	BlockIn, BlockOut Value
	// Pids counts processes and threads.
	Pids Value
}

// CPUPercent is how much of one processor was used since the earlier sample; nil
// means since the start.
func (s *Sample) CPUPercent(earlier *Sample) float64 {
	since, used := s.Started, s.CPU.N
	if earlier != nil && earlier.Started.Equal(s.Started) && earlier.CPU.N <= used {
		since, used = earlier.Time, used-earlier.CPU.N
	}
	if elapsed := s.Time.Sub(since); elapsed > 0 {
		return float64(used) / float64(elapsed.Nanoseconds()) * 100
	}
	return 0
}

// MemoryPercent is the part of the limit that is used.
func (s *Sample) MemoryPercent() float64 {
	if s.MemoryLimit.N == 0 {
		return 0
	}
	return float64(s.Memory.N) / float64(s.MemoryLimit.N) * 100
}

// Collector reads samples. The zero value reads this machine.
type Collector struct {
	// CgroupRoot and Proc are where the file systems are mounted; empty is the
	// usual place.
	CgroupRoot, Proc string
}

// Collect takes a sample of every target, in their order. One that ends meanwhile
// is left out.
func (c *Collector) Collect(ctx context.Context, targets []Target) ([]Sample, error) {
	samples := make([]Sample, len(targets))
	present := make([]bool, len(targets))
	total := c.memTotal()
	var table processTable
	var once sync.Once
	processes := func() processTable {
		once.Do(func() { table = c.scan() }) // one look at all processes serves all
		return table
	}
	workers := min(runtime.GOMAXPROCS(0), len(targets))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := reader{Collector: c, total: total, processes: processes, buf: make([]byte, bufferSize)}
			for i := w; i < len(targets) && ctx.Err() == nil; i += workers {
				samples[i], present[i] = r.sample(targets[i])
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	kept := samples[:0]
	for i := range samples {
		if present[i] {
			kept = append(kept, samples[i])
		}
	}
	return kept, nil
}

// Samples takes samples again and again until the context ends or the loop is
// left; targets says each time of what.
func (c *Collector) Samples(ctx context.Context, interval time.Duration, targets func(context.Context) ([]Target, error)) iter.Seq2[[]Sample, error] {
	return func(yield func([]Sample, error) bool) {
		tick := time.NewTicker(max(interval, time.Millisecond))
		defer tick.Stop()
		for {
			now, err := targets(ctx)
			var samples []Sample
			if err == nil {
				samples, err = c.Collect(ctx, now)
			}
			if ctx.Err() != nil || !yield(samples, err) || err != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

package specgen

import (
	"errors"
	"slices"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// cpuPeriod in microseconds is what --cpus is measured in.
const cpuPeriod = 100000

// ociResources are the cgroup limits. What the user asked for must be possible;
// what only a default asks for is left out where it is not.
func (c *Container) ociResources(f *Facts) (*rspec.LinuxResources, error) {
	for _, w := range c.limitFlags() {
		if !f.hasController(w.controller) {
			return nil, &MissingControllerError{Controller: w.controller, Flag: w.flag}
		}
	}
	if c.Resources.MemorySwap != 0 && f.NoSwapLimit {
		return nil, errors.New("--memory-swap: this kernel does not account swap (boot it with swapaccount=1, or leave the flag out)")
	}
	r := &rspec.LinuxResources{Memory: c.memory(f), CPU: c.cpu(), Pids: c.pids(f)}
	if r.Memory == nil && r.CPU == nil && r.Pids == nil {
		return nil, nil //nolint:nilnil // no limits at all
	}
	return r, nil
}

type limitFlag struct{ flag, controller string }

// limitFlags are the limits the user asked for.
func (c *Container) limitFlags() []limitFlag {
	r := &c.Resources
	var used []limitFlag
	for _, l := range []struct {
		set bool
		limitFlag
	}{
		{r.Memory > 0, limitFlag{"--memory", "memory"}},
		{r.MemoryReservation > 0, limitFlag{"--memory-reservation", "memory"}},
		{r.MemorySwap != 0, limitFlag{"--memory-swap", "memory"}},
		{r.CPUs > 0, limitFlag{"--cpus", "cpu"}},
		{r.CPUPeriod > 0, limitFlag{"--cpu-period", "cpu"}},
		{r.CPUQuota > 0, limitFlag{"--cpu-quota", "cpu"}},
		{r.CPUShares > 0, limitFlag{"--cpu-shares", "cpu"}},
		{r.CPUSetCPUs != "", limitFlag{"--cpuset-cpus", "cpuset"}},
		{r.CPUSetMems != "", limitFlag{"--cpuset-mems", "cpuset"}},
		{r.PidsLimit != nil && *r.PidsLimit > 0, limitFlag{"--pids-limit", "pids"}},
	} {
		if l.set {
			used = append(used, l.limitFlag)
		}
	}
	return used
}

func (f *Facts) hasController(name string) bool {
	return f.CgroupsPath != "" && slices.Contains(f.Controllers, name)
}

func (c *Container) memory(f *Facts) *rspec.LinuxMemory {
	r := &c.Resources
	if r.Memory == 0 && r.MemoryReservation == 0 && r.MemorySwap == 0 {
		return nil
	}
	m := &rspec.LinuxMemory{}
	if r.Memory > 0 {
		m.Limit = &r.Memory
	}
	if r.MemoryReservation > 0 {
		m.Reservation = &r.MemoryReservation
	}
	switch {
	case r.MemorySwap != 0:
		m.Swap = &r.MemorySwap
	case r.Memory > 0 && !f.NoSwapLimit:
		swap := 2 * r.Memory // the field's default: as much swap as memory
		if swap < 0 {
			swap = -1
		}
		m.Swap = &swap
	}
	return m
}

func (c *Container) cpu() *rspec.LinuxCPU {
	r := &c.Resources
	cpu := &rspec.LinuxCPU{Cpus: r.CPUSetCPUs, Mems: r.CPUSetMems}
	limited := cpu.Cpus != "" || cpu.Mems != ""
	if r.CPUs > 0 {
		period, quota := uint64(cpuPeriod), int64(r.CPUs*cpuPeriod)
		cpu.Period, cpu.Quota, limited = &period, &quota, true
	}
	if r.CPUPeriod > 0 {
		cpu.Period, limited = &r.CPUPeriod, true
	}
	if r.CPUQuota != 0 {
		cpu.Quota, limited = &r.CPUQuota, true
	}
	if r.CPUShares > 0 {
		cpu.Shares, limited = &r.CPUShares, true
	}
	if !limited {
		return nil
	}
	return cpu
}

func (c *Container) pids(f *Facts) *rspec.LinuxPids {
	if !f.hasController("pids") {
		return nil
	}
	limit := f.DefaultPidsLimit
	if c.Resources.PidsLimit != nil {
		limit = *c.Resources.PidsLimit
	}
	switch {
	case limit > 0:
		return &rspec.LinuxPids{Limit: &limit}
	case c.Resources.PidsLimit != nil:
		none := int64(-1)
		return &rspec.LinuxPids{Limit: &none}
	}
	return nil
}

package specgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// cpuPeriod in microseconds is what --cpus is measured in.
const cpuPeriod = 100000

// ociResources are the cgroup limits. What the user asked for must be possible;
// what only a default asks for is left out where it is not.
func (c *Container) ociResources(f *Facts) (*rspec.LinuxResources, error) {
	if err := c.Resources.possible(f); err != nil {
		return nil, err
	}
	io, err := c.Resources.blockIO(f)
	if err != nil {
		return nil, err
	}
	r := &rspec.LinuxResources{Memory: c.memory(f), CPU: c.cpu(), Pids: c.pids(f), BlockIO: io, Unified: c.Resources.CgroupConf}
	if r.Memory == nil && r.CPU == nil && r.Pids == nil && r.BlockIO == nil && r.Unified == nil {
		return nil, nil //nolint:nilnil // no limits at all
	}
	return r, nil
}

// LinuxResources are the limits alone, for a change of a running container.
func (c *Container) LinuxResources(f *Facts) (*rspec.LinuxResources, error) { return c.ociResources(f) }

// possible says which limit this host cannot keep. What cgroup v2 has no file
// for is refused in the words of the runtime.
func (r *Resources) possible(f *Facts) error {
	if f.CgroupV2 {
		switch {
		case r.MemorySwappiness != nil:
			return errors.New("cannot set memory swappiness with cgroupv2: leave --memory-swappiness out")
		case r.OOMKillDisable:
			return errors.New("cannot disable OOM killer with cgroupv2: leave --oom-kill-disable out")
		case r.CPURTPeriod != 0:
			return errors.New("realtime period not supported on cgroupv2: leave --cpu-rt-period out")
		case r.CPURTRuntime != 0:
			return errors.New("realtime runtime not supported on cgroupv2: leave --cpu-rt-runtime out")
		}
	}
	for _, w := range r.limitFlags() {
		if !f.hasController(w.controller) {
			return &MissingControllerError{Controller: w.controller, Flag: w.flag}
		}
	}
	if r.MemorySwap != 0 && f.NoSwapLimit {
		return errors.New("--memory-swap: this kernel does not account swap (boot it with swapaccount=1, or leave the flag out)")
	}
	if f.NoIOWeight && (r.BlkioWeight != 0 || len(r.BlkioWeightDevice) > 0) {
		return errors.New("--blkio-weight: this kernel has no io.weight for cgroups: use one with CONFIG_BLK_CGROUP_IOCOST or the BFQ scheduler, or leave the flag out")
	}
	return nil
}

type limitFlag struct{ flag, controller string }

// limitFlags are the limits the user asked for. cpu.weight and cpu.max are the
// controller cpu's.
func (r *Resources) limitFlags() []limitFlag {
	var used []limitFlag
	for _, l := range []struct {
		set bool
		limitFlag
	}{
		{r.Memory > 0, limitFlag{"--memory", "memory"}},
		{r.MemoryReservation > 0, limitFlag{"--memory-reservation", "memory"}},
		{r.MemorySwap != 0, limitFlag{"--memory-swap", "memory"}},
		{r.MemorySwappiness != nil, limitFlag{"--memory-swappiness", "memory"}},
		{r.OOMKillDisable, limitFlag{"--oom-kill-disable", "memory"}},
		{r.CPUs > 0, limitFlag{"--cpus", "cpu"}},
		{r.CPUPeriod > 0, limitFlag{"--cpu-period", "cpu"}},
		{r.CPUQuota > 0, limitFlag{"--cpu-quota", "cpu"}},
		{r.CPUShares > 0, limitFlag{"--cpu-shares", "cpu"}},
		{r.CPURTPeriod > 0, limitFlag{"--cpu-rt-period", "cpu"}},
		{r.CPURTRuntime != 0, limitFlag{"--cpu-rt-runtime", "cpu"}},
		{r.CPUSetCPUs != "", limitFlag{"--cpuset-cpus", "cpuset"}},
		{r.CPUSetMems != "", limitFlag{"--cpuset-mems", "cpuset"}},
		{r.PidsLimit != nil && *r.PidsLimit > 0, limitFlag{"--pids-limit", "pids"}},
		{r.BlkioWeight > 0, limitFlag{"--blkio-weight", "io"}},
	} {
		if l.set {
			used = append(used, l.limitFlag)
		}
	}
	for _, list := range r.deviceLists() {
		if len(list.rates) > 0 {
			used = append(used, limitFlag{list.flag, "io"})
		}
	}
	for file := range r.CgroupConf {
		controller, _, _ := strings.Cut(file, ".")
		used = append(used, limitFlag{"--cgroup-conf=" + file, controller})
	}
	return used
}

// hasController says whether a container can have limits of a controller;
// "cgroup" is what every cgroup has.
func (f *Facts) hasController(name string) bool {
	return f.CgroupsPath != "" && (name == "cgroup" || slices.Contains(f.Controllers, name))
}

func (c *Container) memory(f *Facts) *rspec.LinuxMemory {
	r := &c.Resources
	if r.Memory == 0 && r.MemoryReservation == 0 && r.MemorySwap == 0 && r.MemorySwappiness == nil && !r.OOMKillDisable {
		return nil
	}
	m := &rspec.LinuxMemory{Swappiness: r.MemorySwappiness}
	if r.OOMKillDisable {
		m.DisableOOMKiller = &r.OOMKillDisable
	}
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
	if r.CPURTPeriod > 0 {
		cpu.RealtimePeriod, limited = &r.CPURTPeriod, true
	}
	if r.CPURTRuntime != 0 {
		cpu.RealtimeRuntime, limited = &r.CPURTRuntime, true
	}
	if !limited {
		return nil
	}
	return cpu
}

// blockIO are the limits of block devices, which the kernel knows by number.
func (r *Resources) blockIO(f *Facts) (*rspec.LinuxBlockIO, error) {
	io := &rspec.LinuxBlockIO{}
	limited := r.BlkioWeight > 0
	if limited {
		io.Weight = &r.BlkioWeight
	}
	for _, list := range r.deviceLists() {
		for _, d := range list.rates {
			number, ok := f.BlockDevices[d.Path]
			if !ok {
				return nil, fmt.Errorf("%s %s: it is not a block device of this host", list.flag, d.Path)
			}
			limited = true
			if list.flag == flagWeightDevice {
				weight := uint16(d.Rate) //nolint:gosec // at most maxWeight
				device := rspec.LinuxWeightDevice{Weight: &weight}
				device.Major, device.Minor = number.Major, number.Minor
				io.WeightDevice = append(io.WeightDevice, device)
				continue
			}
			device := rspec.LinuxThrottleDevice{Rate: d.Rate}
			device.Major, device.Minor = number.Major, number.Minor
			to := map[string]*[]rspec.LinuxThrottleDevice{
				"--device-read-bps": &io.ThrottleReadBpsDevice, "--device-write-bps": &io.ThrottleWriteBpsDevice,
				"--device-read-iops": &io.ThrottleReadIOPSDevice, "--device-write-iops": &io.ThrottleWriteIOPSDevice,
			}[list.flag]
			*to = append(*to, device)
		}
	}
	if !limited {
		return nil, nil //nolint:nilnil // no limits of block devices
	}
	return io, nil
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

// Package cgrouplimit bounds a cgroup that no OCI runtime makes: that of a pod,
// which has no process of its own. It is about cgroup v2.
package cgrouplimit

import (
	"fmt"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fs2"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// Make makes the cgroup at dir, below /sys/fs/cgroup, with what it needs of the
// controllers of those above, and sets its limits. It may be there already.
func Make(dir string, r *rspec.LinuxResources) error {
	limits := translate(r)
	cgroup := &cgroups.Cgroup{Resources: limits, Rootless: true}
	if err := fs2.CreateCgroupPath(dir, cgroup); err != nil {
		return fmt.Errorf("make cgroup %s: %w", dir, err)
	}
	manager, err := fs2.NewManager(cgroup, dir)
	if err == nil {
		err = manager.Set(limits)
	}
	if err != nil {
		return fmt.Errorf("limit cgroup %s: %w", dir, err)
	}
	return nil
}

// translate says in the library's words what the OCI specification says.
func translate(r *rspec.LinuxResources) *cgroups.Resources {
	out := &cgroups.Resources{Unified: r.Unified}
	if m := r.Memory; m != nil {
		out.Memory, out.MemoryReservation, out.MemorySwap = value(m.Limit), value(m.Reservation), value(m.Swap)
	}
	if c := r.CPU; c != nil {
		out.CpuQuota, out.CpuPeriod, out.CpusetCpus, out.CpusetMems = value(c.Quota), value(c.Period), c.Cpus, c.Mems
		out.CpuWeight = cgroups.ConvertCPUSharesToCgroupV2Value(value(c.Shares))
	}
	if r.Pids != nil {
		out.PidsLimit = r.Pids.Limit
	}
	if io := r.BlockIO; io != nil {
		out.BlkioWeight = value(io.Weight)
		for _, d := range io.WeightDevice {
			out.BlkioWeightDevice = append(out.BlkioWeightDevice, cgroups.NewWeightDevice(d.Major, d.Minor, value(d.Weight), 0))
		}
		for _, list := range []struct {
			from []rspec.LinuxThrottleDevice
			to   *[]*cgroups.ThrottleDevice
		}{
			{io.ThrottleReadBpsDevice, &out.BlkioThrottleReadBpsDevice},
			{io.ThrottleWriteBpsDevice, &out.BlkioThrottleWriteBpsDevice},
			{io.ThrottleReadIOPSDevice, &out.BlkioThrottleReadIOPSDevice},
			{io.ThrottleWriteIOPSDevice, &out.BlkioThrottleWriteIOPSDevice},
		} {
			for _, d := range list.from {
				*list.to = append(*list.to, cgroups.NewThrottleDevice(d.Major, d.Minor, d.Rate))
			}
		}
	}
	return out
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

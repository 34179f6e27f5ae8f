package flag

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// resources registers the flags of create and run that limit a container.
func resources(fs *pflag.FlagSet, r *specgen.Resources) {
	UpdateLimits(fs, r)
	fs.BoolVar(&r.OOMKillDisable, "oom-kill-disable", false, "Disable OOM Killer (cgroup v1 only)")
	eachInList(fs, "cgroup-conf", "", "Configure cgroup v2 (FILE=VALUE)", func(s string) error {
		file, content, err := specgen.ParseCgroupConf(s)
		if err == nil {
			put(&r.CgroupConf, file, content)
		}
		return err
	})
	parsed(fs, "shm-size", "65536k", "Size of /dev/shm (`<number>[<unit>]`)", size(&r.ShmSize))
	parsed(fs, "cgroups", "enabled", "Control container cgroup configuration: enabled, disabled, no-conmon or split", func(s string) error {
		r.Cgroups = s
		if s == "enabled" {
			r.Cgroups = ""
		}
		return nil
	})
	fs.StringVar(&r.CgroupParent, "cgroup-parent", "", "Optional parent cgroup for the container")
}

// UpdateLimits registers the limits that can be changed later.
func UpdateLimits(fs *pflag.FlagSet, r *specgen.Resources) {
	Limits(fs, r)
	fs.Var(&value{kind: "int64", read: func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", s)
		}
		r.PidsLimit = &n
		return nil
	}}, "pids-limit", "Tune container pids limit (set -1 for unlimited)")
	deviceRate(fs, "device-read-iops", "Limit read rate (IO per second) from a device (e.g. --device-read-iops=/dev/sda:1000)", &r.DeviceReadIOps, specgen.ParseDeviceIOps)
	deviceRate(fs, "device-write-iops", "Limit write rate (IO per second) to a device (e.g. --device-write-iops=/dev/sda:1000)", &r.DeviceWriteIOps, specgen.ParseDeviceIOps)
}

// Limits registers the limits that create, run, update and clone share.
func Limits(fs *pflag.FlagSet, r *specgen.Resources) {
	memoryLimits(fs, r)
	fs.Float64Var(&r.CPUs, "cpus", 0, "Number of CPUs")
	fs.Uint64Var(&r.CPUPeriod, "cpu-period", 0, "Limit the CPU CFS (Completely Fair Scheduler) period")
	fs.Int64Var(&r.CPUQuota, "cpu-quota", 0, "Limit the CPU CFS (Completely Fair Scheduler) quota")
	fs.Uint64Var(&r.CPURTPeriod, "cpu-rt-period", 0, "Limit the CPU real-time period in microseconds (cgroup v1 only)")
	fs.Int64Var(&r.CPURTRuntime, "cpu-rt-runtime", 0, "Limit the CPU real-time runtime in microseconds (cgroup v1 only)")
	fs.Uint64VarP(&r.CPUShares, "cpu-shares", "c", 0, "CPU shares (relative weight)")
	fs.StringVar(&r.CPUSetCPUs, "cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)")
	fs.StringVar(&r.CPUSetMems, "cpuset-mems", "", "Memory nodes (MEMs) in which to allow execution (0-3, 0,1)")
	parsed(fs, "blkio-weight", "", "Block IO weight (relative weight), from 10 to 1000", func(s string) (err error) {
		r.BlkioWeight, err = specgen.ParseWeight(s)
		return err
	})
	deviceRate(fs, "blkio-weight-device", "Block IO weight (relative device weight, format: `DEVICE_NAME:WEIGHT`)", &r.BlkioWeightDevice, specgen.ParseDeviceWeight)
	deviceRate(fs, "device-read-bps", "Limit read rate (bytes per second) from a device (e.g. --device-read-bps=/dev/sda:1mb)", &r.DeviceReadBps, specgen.ParseDeviceBps)
	deviceRate(fs, "device-write-bps", "Limit write rate (bytes per second) to a device (e.g. --device-write-bps=/dev/sda:1mb)", &r.DeviceWriteBps, specgen.ParseDeviceBps)
}

func deviceRate(fs *pflag.FlagSet, name, usage string, to *[]specgen.DeviceRate, parse func(string) (specgen.DeviceRate, error)) {
	each(fs, name, "", usage, func(s string) error {
		rate, err := parse(s)
		*to = append(*to, rate)
		return err
	})
}

func memoryLimits(fs *pflag.FlagSet, r *specgen.Resources) {
	fs.VarP(&value{kind: "string", read: size(&r.Memory)}, "memory", "m", "Memory limit (`<number>[<unit>]`)")
	parsed(fs, "memory-reservation", "", "Memory soft limit (`<number>[<unit>]`)", size(&r.MemoryReservation))
	parsed(fs, "memory-swap", "", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap", func(s string) (err error) {
		if s == "-1" {
			r.MemorySwap = -1
			return nil
		}
		r.MemorySwap, err = specgen.ParseSize(s)
		return err
	})
	fs.Var(&value{kind: "int64", text: "-1", read: func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < -1 || n > 100 {
			return fmt.Errorf("%q must be from 0 to 100, or -1 for the kernel's", s)
		}
		r.MemorySwappiness = nil
		if n >= 0 {
			swappiness := uint64(n)
			r.MemorySwappiness = &swappiness
		}
		return nil
	}}, "memory-swappiness", "Tune container memory swappiness, from 0 to 100 (cgroup v1 only)")
}

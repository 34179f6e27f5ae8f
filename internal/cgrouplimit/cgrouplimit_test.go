package cgrouplimit

import (
	"reflect"
	"testing"

	"github.com/opencontainers/cgroups"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

func TestTranslate(t *testing.T) {
	memory, swap, quota, pids := int64(1<<20), int64(2<<20), int64(50000), int64(7)
	period, shares, weight := uint64(100000), uint64(1024), uint16(500)
	throttle := []rspec.LinuxThrottleDevice{{Rate: 9}}
	throttle[0].Major, throttle[0].Minor = 8, 1
	device := rspec.LinuxWeightDevice{Weight: &weight}
	device.Major = 8
	for name, c := range map[string]struct {
		in   rspec.LinuxResources
		want cgroups.Resources
	}{
		"nothing": {},
		"memory":  {rspec.LinuxResources{Memory: &rspec.LinuxMemory{Limit: &memory, Swap: &swap}}, cgroups.Resources{Memory: memory, MemorySwap: swap}},
		"cpu": {
			rspec.LinuxResources{CPU: &rspec.LinuxCPU{Quota: &quota, Period: &period, Shares: &shares, Cpus: "0"}},
			cgroups.Resources{CpuQuota: quota, CpuPeriod: period, CpuWeight: cgroups.ConvertCPUSharesToCgroupV2Value(shares), CpusetCpus: "0"},
		},
		"pids":    {rspec.LinuxResources{Pids: &rspec.LinuxPids{Limit: &pids}}, cgroups.Resources{PidsLimit: &pids}},
		"unified": {rspec.LinuxResources{Unified: map[string]string{"memory.high": "1"}}, cgroups.Resources{Unified: map[string]string{"memory.high": "1"}}},
		"block": {
			rspec.LinuxResources{BlockIO: &rspec.LinuxBlockIO{Weight: &weight, WeightDevice: []rspec.LinuxWeightDevice{device}, ThrottleReadBpsDevice: throttle}},
			cgroups.Resources{
				BlkioWeight: weight, BlkioWeightDevice: []*cgroups.WeightDevice{cgroups.NewWeightDevice(8, 0, weight, 0)},
				BlkioThrottleReadBpsDevice: []*cgroups.ThrottleDevice{cgroups.NewThrottleDevice(8, 1, 9)},
			},
		},
	} {
		if got := translate(&c.in); !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, *got, c.want)
		}
	}
}

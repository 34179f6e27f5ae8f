package specgen

import (
	"reflect"
	"strings"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

func TestParseDeviceRates(t *testing.T) {
	cases := map[string]struct {
		parse func(string) (DeviceRate, error)
		in    string
		want  DeviceRate // of an error: zero
	}{
		"bytes":           {ParseDeviceBps, "/dev/sda:1mb", DeviceRate{"/dev/sda", 1 << 20}},
		"plain bytes":     {ParseDeviceBps, "/dev/disk/by-id/a:b:512", DeviceRate{"/dev/disk/by-id/a:b", 512}},
		"operations":      {ParseDeviceIOps, "/dev/sda:1000", DeviceRate{"/dev/sda", 1000}},
		"weight":          {ParseDeviceWeight, "/dev/sda:10", DeviceRate{"/dev/sda", 10}},
		"no number":       {ParseDeviceBps, "/dev/sda", DeviceRate{}},
		"zero":            {ParseDeviceBps, "/dev/sda:0", DeviceRate{}},
		"negative":        {ParseDeviceBps, "/dev/sda:-1", DeviceRate{}},
		"unit for counts": {ParseDeviceIOps, "/dev/sda:1k", DeviceRate{}},
		"no device":       {ParseDeviceIOps, "/etc/passwd:1", DeviceRate{}},
		"dots":            {ParseDeviceIOps, "/dev/../etc:1", DeviceRate{}},
		"light":           {ParseDeviceWeight, "/dev/sda:9", DeviceRate{}},
		"heavy":           {ParseDeviceWeight, "/dev/sda:1001", DeviceRate{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tc.parse(tc.in)
			if tc.want == (DeviceRate{}) {
				if err == nil {
					t.Fatalf("%q was accepted as %v", tc.in, got)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Fatalf("got %v, %v", got, err)
			}
		})
	}
}

func TestParseCgroupConf(t *testing.T) {
	if file, value, err := ParseCgroupConf("memory.high=1=2"); err != nil || file != "memory.high" || value != "1=2" {
		t.Errorf("got %q %q %v", file, value, err)
	}
	for _, bad := range []string{"memory.high", "=1", "../memory.high=1", "a/b.c=1", "memory=1", "memory.high=", ".x=1", "a..b=1"} {
		if _, _, err := ParseCgroupConf(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestResourcesRefused(t *testing.T) {
	many := uint64(101)
	cases := map[string]struct {
		r    Resources
		want string
	}{
		"swappiness":   {Resources{MemorySwappiness: &many}, "--memory-swappiness"},
		"weight":       {Resources{BlkioWeight: 5}, "--blkio-weight"},
		"device":       {Resources{DeviceReadBps: []DeviceRate{{"sda", 1}}}, "--device-read-bps"},
		"cgroup file":  {Resources{CgroupConf: map[string]string{"../x.y": "1"}}, "--cgroup-conf"},
		"split parent": {Resources{Cgroups: "split", CgroupParent: "a.slice"}, "--cgroup-parent"},
		"cpus twice":   {Resources{CPUs: 1, CPUQuota: 5000}, "--cpus excludes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := tc.r.validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What cgroup v2 cannot do is refused in the runtime's words.
func TestResourcesOfVersion1(t *testing.T) {
	ten := uint64(10)
	for want, r := range map[string]Resources{
		"cannot set memory swappiness with cgroupv2":  {MemorySwappiness: &ten},
		"cannot disable OOM killer with cgroupv2":     {OOMKillDisable: true},
		"realtime period not supported on cgroupv2":   {CPURTPeriod: 1000},
		"realtime runtime not supported on cgroupv2":  {CPURTRuntime: 1000},
		"it is not a block device of this host":       {DeviceReadBps: []DeviceRate{{"/dev/gone", 1}}},
		"this kernel has no io.weight for cgroups":    {BlkioWeight: 100},
		`--cgroup-conf=hugetlb.2MB.max needs the cgr`: {CgroupConf: map[string]string{"hugetlb.2MB.max": "0"}},
	} {
		c, f := shell(), rootless()
		f.CgroupV2, f.NoIOWeight, f.Controllers = true, true, []string{"cpu", "memory", "io"}
		c.Resources = r
		if _, err := c.ToOCI(f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestBlockIO(t *testing.T) {
	c, f := shell(), rootless()
	f.CgroupV2, f.Controllers = true, []string{"io", "memory"}
	f.BlockDevices = map[string]DeviceNumber{"/dev/a": {8, 1}}
	rate := []DeviceRate{{"/dev/a", 77}}
	c.Resources = Resources{
		BlkioWeight: 100, BlkioWeightDevice: rate, DeviceReadBps: rate, DeviceWriteBps: rate,
		DeviceReadIOps: rate, DeviceWriteIOps: rate, CgroupConf: map[string]string{"memory.high": "1"},
	}
	spec, err := c.ToOCI(f)
	if err != nil {
		t.Fatal(err)
	}
	io := spec.Linux.Resources.BlockIO
	if *io.Weight != 100 || len(io.WeightDevice) != 1 || *io.WeightDevice[0].Weight != 77 || spec.Linux.Resources.Unified["memory.high"] != "1" {
		t.Errorf("got %+v", io)
	}
	for _, list := range [][]rspec.LinuxThrottleDevice{io.ThrottleReadBpsDevice, io.ThrottleWriteBpsDevice, io.ThrottleReadIOPSDevice, io.ThrottleWriteIOPSDevice} {
		if len(list) != 1 || list[0].Major != 8 || list[0].Minor != 1 || list[0].Rate != 77 {
			t.Errorf("got %+v", list)
		}
	}
}

func TestMergeLimits(t *testing.T) {
	five, none := int64(5), int64(-1)
	a, b := DeviceRate{"/dev/a", 1}, DeviceRate{"/dev/b", 2}
	cases := map[string]struct{ old, wish, want Resources }{
		"nothing":        {Resources{Memory: 1, CPUs: 2}, Resources{}, Resources{Memory: 1, CPUs: 2}},
		"memory":         {Resources{Memory: 1, MemorySwap: 3}, Resources{Memory: 2}, Resources{Memory: 2}},
		"quota to cpus":  {Resources{CPUPeriod: 1000, CPUQuota: 2000}, Resources{CPUs: 1}, Resources{CPUs: 1}},
		"cpus to quota":  {Resources{CPUs: 0.5}, Resources{CPUQuota: 2000}, Resources{CPUQuota: 2000}},
		"cpus to period": {Resources{CPUs: 0.5}, Resources{CPUPeriod: 200000}, Resources{CPUPeriod: 200000, CPUQuota: 50000}},
		"pids":           {Resources{PidsLimit: &five}, Resources{PidsLimit: &none}, Resources{PidsLimit: &none}},
		"devices": {
			Resources{DeviceReadBps: []DeviceRate{a}},
			Resources{DeviceReadBps: []DeviceRate{b, {"/dev/a", 9}}},
			Resources{DeviceReadBps: []DeviceRate{{"/dev/a", 9}, b}},
		},
		"files": {
			Resources{CgroupConf: map[string]string{"a.b": "1", "c.d": "2"}},
			Resources{CgroupConf: map[string]string{"a.b": "3"}},
			Resources{CgroupConf: map[string]string{"a.b": "3", "c.d": "2"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := tc.old
			got.Merge(tc.wish)
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if len(tc.old.DeviceReadBps) > 0 && tc.old.DeviceReadBps[0] != a || tc.old.CgroupConf["a.b"] == "3" {
				t.Error("the old limits were changed")
			}
		})
	}
}

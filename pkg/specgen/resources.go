package specgen

import (
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/docker/go-units"
)

// Resources are limits. What the user did not ask for is zero.
type Resources struct {
	// Memory, MemoryReservation and MemorySwap in bytes; swap -1 is unlimited.
	Memory            int64 `json:"memory,omitempty"`
	MemoryReservation int64 `json:"memory_reservation,omitempty"`
	MemorySwap        int64 `json:"memory_swap,omitempty"`
	// MemorySwappiness and OOMKillDisable exist with cgroup v1 only.
	MemorySwappiness *uint64 `json:"memory_swappiness,omitempty"`
	OOMKillDisable   bool    `json:"oom_kill_disable,omitempty"`
	// CPUs is a number of processors, kept exact as period and quota too.
	CPUs      float64 `json:"cpus,omitempty"`
	CPUPeriod uint64  `json:"cpu_period,omitempty"`
	CPUQuota  int64   `json:"cpu_quota,omitempty"`
	CPUShares uint64  `json:"cpu_shares,omitempty"`
	// CPURTPeriod and CPURTRuntime exist with cgroup v1 only.
	CPURTPeriod  uint64 `json:"cpu_rt_period,omitempty"`
	CPURTRuntime int64  `json:"cpu_rt_runtime,omitempty"`
	CPUSetCPUs   string `json:"cpuset_cpus,omitempty"`
	CPUSetMems   string `json:"cpuset_mems,omitempty"`
	// PidsLimit nil means the default; 0 and -1 mean none.
	PidsLimit *int64 `json:"pids_limit,omitempty"`
	// BlkioWeight is a share of block I/O, from 10 to 1000; of one device in
	// BlkioWeightDevice.
	BlkioWeight       uint16       `json:"blkio_weight,omitempty"`
	BlkioWeightDevice []DeviceRate `json:"blkio_weight_device,omitempty"`
	// DeviceReadBps and the like bound block devices, in bytes or operations a
	// second.
	DeviceReadBps   []DeviceRate `json:"device_read_bps,omitempty"`
	DeviceWriteBps  []DeviceRate `json:"device_write_bps,omitempty"`
	DeviceReadIOps  []DeviceRate `json:"device_read_iops,omitempty"`
	DeviceWriteIOps []DeviceRate `json:"device_write_iops,omitempty"`
	// CgroupConf holds files of the cgroup (memory.high) and what to write there.
	CgroupConf map[string]string `json:"cgroup_conf,omitempty"`
	// ShmSize of /dev/shm in bytes; 0 means 64 MiB.
	ShmSize int64 `json:"shm_size,omitempty"`
	// ShmSizeSystemd is the size of the tmpfs of the systemd mode; 0 is no limit.
	ShmSizeSystemd int64 `json:"shm_size_systemd,omitempty"`
	// RDTClass is a class of service of Intel RDT.
	RDTClass string `json:"rdt_class,omitempty"`
	// CgroupParent is a cgroup path or slice.
	CgroupParent string `json:"cgroup_parent,omitempty"`
	// Cgroups is enabled (""), disabled, no-conmon or split.
	Cgroups string `json:"cgroups,omitempty"`
}

// DeviceRate is a number that belongs to a block device of the host.
type DeviceRate struct {
	Path string `json:"path"`
	Rate uint64 `json:"rate"`
}

// DeviceNumber names a device as the kernel does.
type DeviceNumber struct{ Major, Minor int64 }

const (
	// minMemory is the least limit with which a runtime can start anything.
	minMemory = 6 << 20
	// minWeight and maxWeight bound a share of block I/O.
	minWeight, maxWeight = 10, 1000
	// maxSwappiness is the kernel's.
	maxSwappiness = 100
)

// ParseWeight reads a share of block I/O.
func ParseWeight(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n < minWeight || n > maxWeight {
		return 0, fmt.Errorf("invalid weight %q: it must be from %d to %d", s, minWeight, maxWeight)
	}
	return uint16(n), nil
}

// ParseDeviceWeight reads DEVICE:WEIGHT.
func ParseDeviceWeight(s string) (DeviceRate, error) {
	device, number, err := cutDevice(s)
	if err != nil {
		return DeviceRate{}, err
	}
	weight, err := ParseWeight(number)
	return DeviceRate{Path: device, Rate: uint64(weight)}, err
}

// ParseDeviceBps reads DEVICE:NUMBER[UNIT], a number of bytes.
func ParseDeviceBps(s string) (DeviceRate, error) {
	device, number, err := cutDevice(s)
	if err != nil {
		return DeviceRate{}, err
	}
	rate, err := units.RAMInBytes(number)
	if err != nil || rate <= 0 {
		return DeviceRate{}, fmt.Errorf("invalid rate for device: %s. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb", s)
	}
	return DeviceRate{Path: device, Rate: uint64(rate)}, nil
}

// ParseDeviceIOps reads DEVICE:NUMBER, a number of operations.
func ParseDeviceIOps(s string) (DeviceRate, error) {
	device, number, err := cutDevice(s)
	if err != nil {
		return DeviceRate{}, err
	}
	rate, err := strconv.ParseUint(number, 10, 32)
	if err != nil || rate == 0 {
		return DeviceRate{}, fmt.Errorf("invalid rate for device: %s. The correct format is <device-path>:<number>. Number must be a positive integer", s)
	}
	return DeviceRate{Path: device, Rate: rate}, nil
}

// cutDevice takes the number from the device; a path may hold colons.
func cutDevice(s string) (device, number string, err error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", fmt.Errorf("bad format: %s: it must be DEVICE:NUMBER", s)
	}
	if device = s[:i]; !strings.HasPrefix(device, "/dev/") || hasControl(device) || path.Clean(device) != device {
		return "", "", fmt.Errorf("bad format for device path: %s", s)
	}
	return device, s[i+1:], nil
}

// cgroupFileRE is the name of a file of a controller: a slash would leave the
// container's cgroup.
var cgroupFileRE = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9_]+(\.[a-zA-Z0-9_-]+)+$`) }) //nolint:gochecknoglobals // compiled once, when it is needed

// ParseCgroupConf reads FILE=VALUE.
func ParseCgroupConf(s string) (file, value string, err error) {
	file, value, ok := strings.Cut(s, "=")
	if !ok || !cgroupFileRE().MatchString(file) || value == "" || strings.ContainsRune(value, 0) {
		return "", "", fmt.Errorf("invalid cgroup configuration %q: it must be FILE=VALUE, as memory.high=536870912", s)
	}
	return file, value, nil
}

func (r *Resources) validate() error {
	for _, check := range []func() error{r.validateMemory, r.validateCPU, r.validateIO, r.validateCgroup} {
		if err := check(); err != nil {
			return err
		}
	}
	if r.PidsLimit != nil && *r.PidsLimit < -1 {
		return errors.New("--pids-limit must be a number, or -1 for no limit")
	}
	return nil
}

func (r *Resources) validateMemory() error {
	for _, m := range []struct {
		flag  string
		bytes int64
	}{{"--memory", r.Memory}, {"--memory-reservation", r.MemoryReservation}, {"--shm-size", r.ShmSize}} {
		if m.bytes < 0 {
			return fmt.Errorf("%s must not be negative", m.flag)
		}
	}
	switch {
	case r.Memory > 0 && r.Memory < minMemory:
		return errors.New("--memory must be at least 6m")
	case r.MemorySwap < -1:
		return errors.New("--memory-swap must be a size, or -1 for no limit")
	case r.MemorySwap != 0 && r.Memory == 0:
		return errors.New("--memory-swap needs --memory: it limits memory and swap together")
	case r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return errors.New("--memory-swap must not be below --memory: it limits memory and swap together")
	case r.Memory > 0 && r.MemoryReservation > r.Memory:
		return errors.New("--memory-reservation must not be above --memory")
	case r.MemorySwappiness != nil && *r.MemorySwappiness > maxSwappiness:
		return errors.New("--memory-swappiness must be from 0 to 100, or -1 for the kernel's")
	}
	return nil
}

func (r *Resources) validateCPU() error {
	switch {
	case r.CPUs < 0 || (r.CPUs > 0 && r.CPUs < 0.01) || r.CPUs > 1<<20 || math.IsNaN(r.CPUs):
		return errors.New("--cpus must be at least 0.01")
	case r.CPUs > 0 && (r.CPUPeriod > 0 || r.CPUQuota != 0):
		return errors.New("--cpus excludes --cpu-period and --cpu-quota")
	case r.CPUPeriod > 0 && (r.CPUPeriod < 1000 || r.CPUPeriod > 1000000):
		return errors.New("--cpu-period must be from 1000 to 1000000 microseconds")
	case r.CPUQuota < -1 || (r.CPUQuota > 0 && r.CPUQuota < 1000):
		return errors.New("--cpu-quota must be at least 1000 microseconds")
	case r.CPUShares == 1 || r.CPUShares > 262144:
		return errors.New("--cpu-shares must be from 2 to 262144")
	}
	for _, set := range []struct{ flag, value string }{{"--cpuset-cpus", r.CPUSetCPUs}, {"--cpuset-mems", r.CPUSetMems}} {
		if strings.Trim(set.value, "0123456789,-") != "" {
			return fmt.Errorf("%s %q must be a list as 0-3,5", set.flag, set.value)
		}
	}
	return nil
}

func (r *Resources) validateIO() error {
	if r.BlkioWeight != 0 && (r.BlkioWeight < minWeight || r.BlkioWeight > maxWeight) {
		return fmt.Errorf("--blkio-weight must be from %d to %d", minWeight, maxWeight)
	}
	for _, list := range r.deviceLists() {
		for _, d := range list.rates {
			if _, _, err := cutDevice(d.Path + ":"); err != nil || d.Rate == 0 {
				return fmt.Errorf("invalid %s %q", list.flag, d.Path)
			}
			if list.flag == flagWeightDevice && (d.Rate < minWeight || d.Rate > maxWeight) {
				return fmt.Errorf("%s must be from %d to %d", list.flag, minWeight, maxWeight)
			}
		}
	}
	return nil
}

func (r *Resources) validateCgroup() error {
	for file, value := range r.CgroupConf {
		if _, _, err := ParseCgroupConf(file + "=" + value); err != nil {
			return fmt.Errorf("--cgroup-conf: %w", err)
		}
	}
	switch r.Cgroups {
	case "", "enabled", "disabled", "no-conmon", "split":
	default:
		return fmt.Errorf("invalid --cgroups %q: it must be enabled, disabled, no-conmon or split", r.Cgroups)
	}
	if r.Cgroups == "split" && r.CgroupParent != "" {
		return errors.New("--cgroups=split and --cgroup-parent exclude each other: split stays below the cgroup pod is in")
	}
	if hasControl(r.CgroupParent) || slices.Contains(strings.Split(r.CgroupParent, "/"), "..") {
		return fmt.Errorf("invalid --cgroup-parent %q", r.CgroupParent)
	}
	return nil
}

const flagWeightDevice = "--blkio-weight-device"

// deviceList is an option that names block devices.
type deviceList struct {
	flag  string
	rates []DeviceRate
}

func (r *Resources) deviceLists() []deviceList {
	return []deviceList{
		{flagWeightDevice, r.BlkioWeightDevice},
		{"--device-read-bps", r.DeviceReadBps},
		{"--device-write-bps", r.DeviceWriteBps},
		{"--device-read-iops", r.DeviceReadIOps},
		{"--device-write-iops", r.DeviceWriteIOps},
	}
}

// BlockDevices are the block devices that the limits name.
func (r *Resources) BlockDevices() []string {
	var paths []string
	for _, list := range r.deviceLists() {
		for _, d := range list.rates {
			if !slices.Contains(paths, d.Path) {
				paths = append(paths, d.Path)
			}
		}
	}
	return paths
}

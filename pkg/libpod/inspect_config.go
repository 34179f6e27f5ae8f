package libpod

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	units "github.com/docker/go-units"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/specgen"
)

const (
	defaultShmSize   = 64 << 20
	defaultCPUPeriod = 100_000
	defaultUmask     = "0022"
	// firstRealTime is SIGRTMIN as the C library has it.
	firstRealTime = 34
)

// networkMode is the mode of a container's network: the driver, or whose it is.
func (e *Engine) networkMode(ctx context.Context, c *state.Container) (string, error) {
	driver, options, err := network.Mode(c.Spec.Network, e.Session.Rootless, e.Config.Network.DefaultRootlessNetworkCmd)
	if err != nil {
		return "", err
	}
	switch driver {
	case network.Container:
		if other, err := e.state.Lookup(ctx, options[0]); err == nil {
			return "container:" + other.ID, nil
		}
		return "container:" + options[0], nil
	case network.Path:
		return "ns:" + options[0], nil
	}
	return driver, nil
}

func (in *inspection) config() InspectConfig {
	s := &in.c.Spec
	p := &s.Process
	added := s.Accounts.Added()
	c := InspectConfig{
		Hostname: in.hostname, User: p.User, Tty: p.Terminal, OpenStdin: p.Stdin, Env: orNone(withoutSecrets(in.spec.Process.Env, s.Secrets)),
		Cmd: orNone(p.Command), Image: in.c.ImageName, Volumes: map[string]struct{}{}, WorkingDir: in.spec.Process.Cwd,
		Entrypoint: orNone(p.Entrypoint), Labels: s.Labels, Annotations: orEmpty(s.Annotations), StopSignal: signalName(stopSignal(in.c)),
		CreateCommand: s.CreateCommand, Timezone: p.Timezone, Umask: p.Umask, Timeout: p.Timeout, StopTimeout: in.stopTimeout,
		Passwd: &added, SdNotifyMode: notifyMode(in.c), ChrootDirs: s.Storage.ChrootDirs, SystemdMode: s.SystemdMode(), InspectChecks: inspectChecks(&s.Health),
	}
	if s.Spaces.UTS == "host" {
		c.Hostname = ""
	}
	if c.Umask == "" {
		c.Umask = defaultUmask
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = defaultStopTimeout
	}
	if p.StopTimeout != nil {
		c.StopTimeout = *p.StopTimeout
	}
	for _, secret := range s.Secrets {
		c.Secrets = append(c.Secrets, InspectSecret{Name: secret.Name, ID: secret.ID, UID: secret.UID, GID: secret.GID, Mode: secret.Mode})
	}
	for _, m := range s.Storage.Mounts {
		if slices.Contains(in.c.AnonymousVolumes, m.Source) && m.Type == "volume" {
			c.Volumes[m.Destination] = struct{}{}
		}
	}
	open := in.openPorts()
	if len(open) > 0 {
		c.ExposedPorts = map[string]struct{}{}
	}
	for port := range open {
		c.ExposedPorts[port] = struct{}{}
	}
	return c
}

// withoutSecrets drops the variables that secrets are in.
func withoutSecrets(env []string, secrets []specgen.Secret) []string {
	return slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.ContainsFunc(secrets, func(s specgen.Secret) bool { return s.Env && s.Variable() == name })
	})
}

func signalName(s string) string {
	sig, err := specgen.ParseSignal(s)
	if err != nil {
		return s
	}
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	if n := int(sig) - firstRealTime; n > 0 && n <= 15 {
		return "SIGRTMIN+" + strconv.Itoa(n)
	}
	return strconv.Itoa(int(sig))
}

func (in *inspection) host() InspectHost {
	s, r := &in.c.Spec, &in.c.Spec.Resources
	h := InspectHost{
		CgroupManager: in.plan.manager, CgroupMode: in.cgroupMode(), ContainerIDFile: s.CIDFile,
		LogConfig:   InspectLog{Type: s.Log.Driver, Config: map[string]string{}, Path: in.logPath, Tag: s.Log.Tag, Size: units.HumanSize(float64(s.Log.MaxSize))},
		NetworkMode: in.mode, PortBindings: portBindings(publishedPorts(in.c)),
		RestartPolicy: InspectRestart{Name: policyName(in.c), MaximumRetryCount: s.RestartRetries},
		AutoRemove:    s.Remove, AutoRemoveImage: s.RemoveImage, HostsFile: s.Network.HostsFile, Annotations: orEmpty(s.Annotations), VolumesFrom: s.Storage.VolumesFrom,
		DNS: orNone(s.Network.DNS), DNSOptions: orNone(s.Network.DNSOptions), DNSSearch: orNone(s.Network.DNSSearch),
		ExtraHosts: orNone(s.Network.AddHosts), GroupAdd: orNone(s.Process.Groups),
		IpcMode: modeOr(s.Spaces.IPC, "shareable"), PidMode: modeOr(s.Spaces.PID, "private"), UTSMode: modeOr(s.Spaces.UTS, "private"),
		Cgroups: modeOr(r.Cgroups, "default"), Links: []string{}, Privileged: s.Security.Privileged,
		PublishAllPorts: s.Network.PublishAll, ReadonlyRootfs: s.Security.ReadOnly, SecurityOpt: securityOpts(&s.Security),
		Tmpfs: map[string]string{}, Binds: []string{}, ShmSize: r.ShmSize, Runtime: "oci",
		CPUShares: r.CPUShares, Memory: r.Memory, CgroupParent: modeOr(in.podCgroup, r.CgroupParent), CPUPeriod: r.CPUPeriod, CPUQuota: r.CPUQuota,
		CPUSetCPUs: r.CPUSetCPUs, CPUSetMems: r.CPUSetMems, MemoryReservation: r.MemoryReservation, MemorySwap: r.MemorySwap,
		BlkioWeight: r.BlkioWeight, BlkioWeightDevice: []InspectWeight{},
		BlkioDeviceReadBps: rates(r.DeviceReadBps), BlkioDeviceWriteBps: rates(r.DeviceWriteBps),
		BlkioDeviceReadIOps: rates(r.DeviceReadIOps), BlkioDeviceWriteIOps: rates(r.DeviceWriteIOps),
		CPURealtimePeriod: r.CPURTPeriod, CPURealtimeRuntime: r.CPURTRuntime, OomKillDisable: r.OOMKillDisable,
		Devices: in.devices(), Init: s.Process.Init, PidsLimit: in.pids(), Ulimits: in.ulimits(), CgroupConf: orEmpty(r.CgroupConf),
	}
	h.CapAdd, h.CapDrop = in.capChanges()
	if h.ShmSize == 0 {
		h.ShmSize = defaultShmSize
	}
	if r.CPUs > 0 {
		h.NanoCPUs = int64(math.Round(r.CPUs * 1e9))
		h.CPUPeriod, h.CPUQuota = defaultCPUPeriod, int64(r.CPUs*defaultCPUPeriod)
	}
	if r.Memory > 0 && r.MemorySwap == 0 {
		h.MemorySwap = 2 * r.Memory
	}
	if r.MemorySwappiness != nil {
		h.MemorySwappiness = int64(*r.MemorySwappiness) //nolint:gosec // at most 100
	}
	for _, d := range r.BlkioWeightDevice {
		h.BlkioWeightDevice = append(h.BlkioWeightDevice, InspectWeight{Path: d.Path, Weight: uint16(d.Rate)}) //nolint:gosec // at most 1000
	}
	if s.Process.OOMScoreAdj != nil {
		h.OomScoreAdj = *s.Process.OOMScoreAdj
	}
	if len(in.maps.uid) > 0 {
		h.UsernsMode = "private"
		h.IDMappings = &InspectIDMaps{}
		for _, m := range in.maps.uid {
			h.IDMappings.UIDMap = append(h.IDMappings.UIDMap, fmt.Sprintf("%d:%d:%d", m.ContainerID, m.HostID, m.Size))
		}
		for _, m := range in.maps.gid {
			h.IDMappings.GIDMap = append(h.IDMappings.GIDMap, fmt.Sprintf("%d:%d:%d", m.ContainerID, m.HostID, m.Size))
		}
	}
	in.binds(&h)
	return h
}

// binds fills the mounts in docker's form.
func (in *inspection) binds(h *InspectHost) {
	for _, m := range in.c.Spec.Storage.Mounts {
		access := "rw"
		if m.ReadOnly() {
			access = "ro"
		}
		options := slices.DeleteFunc(slices.Clone(in.options(m)), func(o string) bool { return o == "rw" || o == "ro" })
		options = append([]string{access}, options...)
		if m.Type == "tmpfs" {
			h.Tmpfs[m.Destination] = strings.Join(options, ",")
			continue
		}
		h.Binds = append(h.Binds, m.Source+":"+m.Destination+":"+strings.Join(options, ","))
	}
}

func (in *inspection) cgroupMode() string {
	switch mode := in.c.Spec.Spaces.Cgroup; {
	case mode != "":
		return mode
	case in.plan.v2:
		return "private"
	}
	return "host"
}

// capChanges compares the bounding set with the configured one.
func (in *inspection) capChanges() (added, dropped []string) {
	added, dropped = []string{}, []string{}
	caps := in.spec.Process.Capabilities
	if in.c.Spec.Security.Privileged || caps == nil {
		return added, dropped
	}
	for _, name := range caps.Bounding {
		if !slices.Contains(in.defaultCaps, name) {
			added = append(added, name)
		}
	}
	for _, name := range in.defaultCaps {
		if !slices.Contains(caps.Bounding, name) {
			dropped = append(dropped, name)
		}
	}
	return added, dropped
}

func (in *inspection) pids() int64 {
	if limit := in.c.Spec.Resources.PidsLimit; limit != nil && *limit > 0 {
		return *limit // it may be newer than the specification
	}
	if res := in.spec.Linux.Resources; res != nil && res.Pids != nil && res.Pids.Limit != nil {
		return *res.Pids.Limit
	}
	if in.c.Spec.Resources.PidsLimit != nil {
		return *in.c.Spec.Resources.PidsLimit
	}
	if slices.Contains(in.plan.controllers, "pids") {
		return in.pidsLimit
	}
	return 0
}

func (in *inspection) ulimits() []InspectUlimit {
	limits := []InspectUlimit{}
	for _, l := range in.spec.Process.Rlimits {
		limits = append(limits, InspectUlimit{Name: l.Type, Soft: limitOf(l.Soft), Hard: limitOf(l.Hard)})
	}
	return limits
}

// rates shows the bounds of block devices.
func rates(list []specgen.DeviceRate) []InspectRate {
	shown := []InspectRate{}
	for _, d := range list {
		shown = append(shown, InspectRate{Path: d.Path, Rate: d.Rate})
	}
	return shown
}

// limitOf shows no limit as -1.
func limitOf(n uint64) int64 {
	if n > math.MaxInt64 {
		return -1
	}
	return int64(n)
}

func (in *inspection) devices() []InspectDevice {
	devices := []InspectDevice{}
	for _, s := range in.c.Spec.Security.Devices {
		if d, err := specgen.ParseDevice(s); err == nil {
			devices = append(devices, InspectDevice{PathOnHost: d.Host, PathInContainer: d.Container, CgroupPermissions: d.Access})
		}
	}
	return devices
}

// securityOpts are the options as --security-opt takes them.
func securityOpts(s *specgen.Security) []string {
	opts := []string{}
	for _, label := range s.Label {
		opts = append(opts, "label="+label)
	}
	for _, o := range []struct{ key, value string }{
		{"apparmor", s.AppArmor},
		{"seccomp", s.Seccomp},
		{"mask", strings.Join(s.Mask, ":")},
		{"unmask", strings.Join(s.Unmask, ":")},
		{"proc-opts", strings.Join(s.ProcOpts, ",")},
	} {
		if o.value != "" {
			opts = append(opts, o.key+"="+o.value)
		}
	}
	if s.NoNewPrivileges {
		opts = append(opts, "no-new-privileges")
	}
	return opts
}

func modeOr(mode, otherwise string) string {
	if mode == "" {
		return otherwise
	}
	return mode
}

// orNone shows a missing list as an empty one.
func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

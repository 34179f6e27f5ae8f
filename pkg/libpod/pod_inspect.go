package libpod

import (
	"context"
	"time"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// InspectPod is all about a pod; its JSON keys are the field's.
type InspectPod struct {
	ID                  string    `json:"Id"`
	Name                string    `json:"Name"`
	Namespace           string    `json:"Namespace,omitempty"`
	Created             time.Time `json:"Created"`
	CreateCommand       []string  `json:"CreateCommand,omitempty"`
	ExitPolicy          string    `json:"ExitPolicy"`
	State               string    `json:"State"`
	Hostname            string
	Labels              map[string]string  `json:"Labels,omitempty"`
	CreateCgroup        bool               `json:"CreateCgroup"`
	CgroupParent        string             `json:"CgroupParent,omitempty"`
	CgroupPath          string             `json:"CgroupPath,omitempty"`
	CreateInfra         bool               `json:"CreateInfra"`
	InfraContainerID    string             `json:"InfraContainerID,omitempty"`
	InfraConfig         *InspectPodInfra   `json:"InfraConfig,omitempty"`
	SharedNamespaces    []string           `json:"SharedNamespaces,omitempty"`
	NumContainers       int                `json:"NumContainers"`
	Containers          []InspectPodMember `json:"Containers,omitempty"`
	CPUPeriod           uint64             `json:"cpu_period,omitempty"`
	CPUQuota            int64              `json:"cpu_quota,omitempty"`
	CPUShares           uint64             `json:"cpu_shares,omitempty"`
	CPUSetCPUs          string             `json:"cpuset_cpus,omitempty"`
	CPUSetMems          string             `json:"cpuset_mems,omitempty"`
	BlkioWeight         uint16             `json:"blkio_weight,omitempty"`
	BlkioWeightDevice   []InspectPodWeight `json:"blkio_weight_device,omitempty"`
	MemoryLimit         int64              `json:"memory_limit,omitempty"`
	MemorySwap          int64              `json:"memory_swap,omitempty"`
	BlkioDeviceReadBps  []InspectPodRate   `json:"device_read_bps,omitempty"`
	BlkioDeviceWriteBps []InspectPodRate   `json:"device_write_bps,omitempty"`
	Devices             []InspectDevice    `json:"devices,omitempty"`
	Mounts              []InspectMount     `json:"mounts,omitempty"`
	VolumesFrom         []string           `json:"volumes_from,omitempty"`
	SecurityOpts        []string           `json:"security_opt,omitempty"`
	RestartPolicy       string             `json:"RestartPolicy,omitempty"`
	LockNumber          uint32
}

// InspectPodMember is a container of a pod.
type InspectPodMember struct {
	ID    string `json:"Id"`
	Name  string
	State Status
}

// InspectPodWeight is a device's share of block I/O.
type InspectPodWeight struct {
	Path   string
	Weight uint64
}

// InspectPodRate is a limit of a device.
type InspectPodRate struct {
	Path string
	Rate uint64
}

// InspectPodInfra is what the infra container is for.
type InspectPodInfra struct {
	PortBindings       map[string][]InspectPort
	HostNetwork        bool
	StaticIP           string
	StaticMAC          string
	NoManageResolvConf bool
	DNSServer          []string
	DNSSearch          []string
	DNSOption          []string
	NoManageHostname   bool
	NoManageHosts      bool
	HostAdd            []string
	HostsFile          string
	Networks           []string
	NetworkOptions     map[string][]string
	CPUPeriod          uint64 `json:"cpu_period,omitempty"`
	CPUQuota           int64  `json:"cpu_quota,omitempty"`
	CPUSetCPUs         string `json:"cpuset_cpus,omitempty"`
	PIDNS              string `json:"pid_ns,omitempty"`
	UserNS             string `json:"userns,omitempty"`
	UTSNS              string `json:"uts_ns,omitempty"`
}

// InspectPod tells all about a pod.
func (e *Engine) InspectPod(ctx context.Context, nameOrID string) (*InspectPod, error) {
	p, err := e.state.LookupPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	members, err := e.state.Members(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	info := e.podInfo(p, members)
	s, r := &p.Spec, &p.Spec.Resources
	out := &InspectPod{
		ID: p.ID, Name: p.Name, Created: p.Created, CreateCommand: s.CreateCommand, ExitPolicy: modeOr(s.ExitPolicy, "continue"),
		State: info.Status, Hostname: s.Network.Hostname, Labels: s.Labels, CreateCgroup: s.ParentCgroup(), CgroupParent: info.Cgroup,
		CgroupPath: info.CgroupPath, CreateInfra: !s.NoInfra, InfraContainerID: p.InfraID, SharedNamespaces: s.Shared(),
		NumContainers: len(members), CPUPeriod: r.CPUPeriod, CPUQuota: r.CPUQuota, CPUShares: r.CPUShares, CPUSetCPUs: r.CPUSetCPUs,
		CPUSetMems: r.CPUSetMems, BlkioWeight: r.BlkioWeight, MemoryLimit: r.Memory, MemorySwap: r.MemorySwap,
		BlkioDeviceReadBps: podRates(r.DeviceReadBps), BlkioDeviceWriteBps: podRates(r.DeviceWriteBps),
		VolumesFrom: s.Storage.VolumesFrom, SecurityOpts: podSecurity(&s.Security), RestartPolicy: s.Restart,
	}
	if r.CPUs > 0 {
		out.CPUPeriod, out.CPUQuota = defaultCPUPeriod, int64(r.CPUs*defaultCPUPeriod)
	}
	for _, d := range r.BlkioWeightDevice {
		out.BlkioWeightDevice = append(out.BlkioWeightDevice, InspectPodWeight{d.Path, d.Rate})
	}
	for _, c := range members {
		out.Containers = append(out.Containers, InspectPodMember{c.ID, c.Name, e.status(c)})
		if c.Spec.IsInfra {
			if err := e.inspectInfra(ctx, c, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// inspectInfra shows what the infra container has for the pod.
func (e *Engine) inspectInfra(ctx context.Context, c *state.Container, out *InspectPod) error {
	in, err := e.gather(ctx, c)
	if err != nil {
		return err
	}
	if mounts := in.mounts(); len(mounts) > 0 {
		out.Mounts = mounts
	}
	if devices := in.devices(); len(devices) > 0 {
		out.Devices = devices
	}
	n, spaces := &c.Spec.Network, &c.Spec.Spaces
	infra := &InspectPodInfra{
		PortBindings: portBindings(publishedPorts(c)), HostNetwork: in.mode == network.Host,
		NoManageResolvConf: len(n.DNS) == 1 && n.DNS[0] == "none", DNSServer: n.DNS, DNSSearch: n.DNSSearch, DNSOption: n.DNSOptions,
		NoManageHostname: n.NoHostname, NoManageHosts: n.NoHosts, HostAdd: n.AddHosts, HostsFile: n.HostsFile,
		CPUPeriod: out.CPUPeriod, CPUQuota: out.CPUQuota, CPUSetCPUs: out.CPUSetCPUs,
		PIDNS: modeOr(spaces.PID, "private"), UTSNS: modeOr(spaces.UTS, "private"), UserNS: "host",
	}
	if names := networkNames(c); len(names) > 0 {
		infra.Networks = names
	}
	if n := n.Networks; len(n) == 1 {
		for _, ip := range n[0].IPs {
			infra.StaticIP = ip.String()
			break
		}
		infra.StaticMAC = n[0].MAC
	}
	if spaces.Mapped() || (spaces.User != "" && spaces.User != "host") {
		infra.UserNS = "private"
	}
	out.InfraConfig = infra
	return nil
}

func podRates(list []specgen.DeviceRate) []InspectPodRate {
	var out []InspectPodRate
	for _, d := range list {
		out = append(out, InspectPodRate(d))
	}
	return out
}

func podSecurity(s *specgen.Security) []string {
	if opts := securityOpts(s); len(opts) > 0 {
		return opts
	}
	return nil
}

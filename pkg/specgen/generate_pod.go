package specgen

import (
	"maps"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// GeneratedPod is the description of a pod in the field's form, the body that its
// REST interface takes to make one (`generate spec`).
type GeneratedPod struct {
	Name               string            `json:"name,omitempty"`
	Hostname           string            `json:"hostname,omitempty"`
	ExitPolicy         string            `json:"exit_policy,omitempty"`
	Labels             map[string]string `json:"labels,omitempty"`
	NoInfra            bool              `json:"no_infra,omitempty"`
	InfraCommand       []string          `json:"infra_command,omitempty"`
	InfraImage         string            `json:"infra_image,omitempty"`
	InfraConmonPIDFile string            `json:"infra_conmon_pid_file,omitempty"`
	IPC                generatedSpace    `json:"ipcns"`
	SharedNamespaces   []string          `json:"shared_namespaces,omitempty"`
	RestartPolicy      string            `json:"restart_policy,omitempty"`
	RestartTries       uint              `json:"restart_tries,omitempty"`
	PodCreateCommand   []string          `json:"pod_create_command,omitempty"`
	PID                generatedSpace    `json:"pidns"`
	UserNS             generatedSpace    `json:"userns"`
	UTS                generatedSpace    `json:"utsns"`
	Devices            []string          `json:"pod_devices,omitempty"`
	Sysctl             map[string]string `json:"sysctl,omitempty"`

	Net           generatedSpace        `json:"netns"`
	PortMappings  []PortMapping         `json:"portmappings,omitempty"`
	Networks      map[string]struct{}   `json:"Networks"`
	NoResolvConf  bool                  `json:"no_manage_resolv_conf,omitempty"`
	DNSServer     []string              `json:"dns_server,omitempty"`
	DNSSearch     []string              `json:"dns_search,omitempty"`
	DNSOption     []string              `json:"dns_option,omitempty"`
	NoHosts       bool                  `json:"no_manage_hosts,omitempty"`
	NoHostname    bool                  `json:"no_manage_hostname,omitempty"`
	HostAdd       []string              `json:"hostadd,omitempty"`
	HostsFile     string                `json:"hostsFile,omitempty"`
	CgroupParent  string                `json:"cgroup_parent,omitempty"`
	ShareParent   *bool                 `json:"share_parent,omitempty"`
	Mounts        []rspec.Mount         `json:"mounts,omitempty"`
	Volumes       []generatedVolume     `json:"volumes,omitempty"`
	VolumesFrom   []string              `json:"volumes_from,omitempty"`
	ResourceLimit *rspec.LinuxResources `json:"resource_limits,omitempty"`
	SecurityOpt   []string              `json:"security_opt,omitempty"`
	ShmSize       int64                 `json:"shm_size,omitempty"`
	ShmSystemd    int64                 `json:"shm_size_systemd,omitempty"`
}

// Generate returns the description in the field's form.
func (p *Pod) Generate() *GeneratedPod {
	n, s := &p.Network, &p.Spaces
	parent := p.ParentCgroup()
	g := &GeneratedPod{
		Name: p.Name, Hostname: n.Hostname, ExitPolicy: p.ExitPolicy, Labels: maps.Clone(p.Labels), NoInfra: p.NoInfra,
		InfraCommand: p.InfraCommand, InfraImage: p.InfraImage, InfraConmonPIDFile: p.InfraConmonPIDFile,
		SharedNamespaces: p.Shared(), RestartPolicy: p.Restart, RestartTries: p.RestartRetries, PodCreateCommand: p.CreateCommand,
		IPC: spaceOr(s.IPC), PID: spaceOr(s.PID), UserNS: spaceOr(s.User), UTS: spaceOr(s.UTS), Net: spaceOr(n.Mode),
		Devices: p.Security.Devices, Sysctl: maps.Clone(p.Security.Sysctl), PortMappings: n.Ports, NoResolvConf: len(n.DNS) == 1 && n.DNS[0] == "none",
		DNSServer: n.DNS, DNSSearch: n.DNSSearch, DNSOption: n.DNSOptions, NoHosts: n.NoHosts, NoHostname: n.NoHostname,
		HostAdd: n.AddHosts, HostsFile: n.HostsFile, CgroupParent: p.Resources.CgroupParent, ShareParent: &parent,
		VolumesFrom: p.Storage.VolumesFrom, ShmSize: p.Resources.ShmSize, ShmSystemd: p.Resources.ShmSizeSystemd,
	}
	if g.ExitPolicy == "" {
		g.ExitPolicy = "continue"
	}
	if g.NoResolvConf {
		g.DNSServer = nil
	}
	c := Container{Resources: p.Resources, Storage: p.Storage}
	inner := c.Generate()
	g.Mounts, g.Volumes, g.ResourceLimit = inner.Mounts, inner.Volumes, inner.Resources
	return g
}

// spaceOr is a namespace in the field's form, the default one too.
func spaceOr(mode string) generatedSpace {
	if g := space(mode); g != nil {
		return *g
	}
	return generatedSpace{Mode: "default"}
}

package specgen

import (
	"strings"
	"syscall"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// Generated is the description in the field's form, the body that its REST
// interface takes to make a container (`generate spec`).
type Generated struct {
	Name           string            `json:"name,omitempty"`
	Image          string            `json:"image,omitempty"`
	RawImageName   string            `json:"raw_image_name,omitempty"`
	Rootfs         string            `json:"rootfs,omitempty"`
	Command        []string          `json:"command,omitempty"`
	Entrypoint     []string          `json:"entrypoint,omitempty"`
	Env            map[string]string `json:"env,omitempty"`
	UnsetEnv       []string          `json:"unsetenv,omitempty"`
	UnsetEnvAll    bool              `json:"unsetenvall,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	Annotations    map[string]string `json:"annotations,omitempty"`
	Terminal       bool              `json:"terminal,omitempty"`
	Stdin          bool              `json:"stdin,omitempty"`
	WorkDir        string            `json:"work_dir,omitempty"`
	User           string            `json:"user,omitempty"`
	Groups         []string          `json:"groups,omitempty"`
	Umask          string            `json:"umask,omitempty"`
	Timezone       string            `json:"timezone,omitempty"`
	Init           bool              `json:"init,omitempty"`
	InitPath       string            `json:"init_path,omitempty"`
	StopSignal     syscall.Signal    `json:"stop_signal,omitempty"`
	StopTimeout    *uint             `json:"stop_timeout,omitempty"`
	Timeout        uint              `json:"timeout,omitempty"`
	OOMScoreAdj    *int              `json:"oom_score_adj,omitempty"`
	Remove         bool              `json:"remove,omitempty"`
	Restart        string            `json:"restart_policy,omitempty"`
	RestartRetries uint              `json:"restart_tries,omitempty"`
	Runtime        string            `json:"oci_runtime,omitempty"`
	CreateCommand  []string          `json:"containerCreateCommand,omitempty"`

	Privileged        bool                `json:"privileged,omitempty"`
	CapAdd            []string            `json:"cap_add,omitempty"`
	CapDrop           []string            `json:"cap_drop,omitempty"`
	NoNewPrivileges   bool                `json:"no_new_privileges,omitempty"`
	Seccomp           string              `json:"seccomp_profile_path,omitempty"`
	SELinux           []string            `json:"selinux_opts,omitempty"`
	AppArmor          string              `json:"apparmor_profile,omitempty"`
	Mask              []string            `json:"mask,omitempty"`
	Unmask            []string            `json:"unmask,omitempty"`
	ProcOpts          []string            `json:"procfs_opts,omitempty"`
	ReadOnly          bool                `json:"read_only_filesystem,omitempty"`
	ReadOnlyTmpfs     *bool               `json:"read_write_tmpfs,omitempty"`
	Sysctl            map[string]string   `json:"sysctl,omitempty"`
	Devices           []generatedPath     `json:"devices,omitempty"`
	DeviceCgroupRules []string            `json:"host_device_cgroup_rules,omitempty"`
	Limits            []rspec.POSIXRlimit `json:"r_limits,omitempty"`

	Resources    *rspec.LinuxResources `json:"resource_limits,omitempty"`
	ShmSize      int64                 `json:"shm_size,omitempty"`
	CgroupParent string                `json:"cgroup_parent,omitempty"`
	CgroupsMode  string                `json:"cgroups_mode,omitempty"`

	PID    *generatedSpace `json:"pidns,omitempty"`
	IPC    *generatedSpace `json:"ipcns,omitempty"`
	UTS    *generatedSpace `json:"utsns,omitempty"`
	Cgroup *generatedSpace `json:"cgroupns,omitempty"`
	UserNS *generatedSpace `json:"userns,omitempty"`
	Net    *generatedSpace `json:"netns,omitempty"`

	NetworkOptions map[string][]string `json:"network_options,omitempty"`
	Ports          []PortMapping       `json:"portmappings,omitempty"`
	PublishAll     bool                `json:"publish_image_ports,omitempty"`
	Expose         map[string]string   `json:"expose,omitempty"`
	Hostname       string              `json:"hostname,omitempty"`
	AddHosts       []string            `json:"hostadd,omitempty"`
	DNS            []string            `json:"dns_server,omitempty"`
	DNSSearch      []string            `json:"dns_search,omitempty"`
	DNSOptions     []string            `json:"dns_option,omitempty"`
	ImageHosts     bool                `json:"use_image_hosts,omitempty"`
	ImageHostname  bool                `json:"use_image_hostname,omitempty"`
	Mounts         []rspec.Mount       `json:"mounts,omitempty"`
	Volumes        []generatedVolume   `json:"volumes,omitempty"`
	VolumesFrom    []string            `json:"volumes_from,omitempty"`
	ImageVolume    string              `json:"image_volume_mode,omitempty"`
	Log            *generatedLog       `json:"log_configuration,omitempty"`
}

type generatedPath struct {
	Path string `json:"path"`
}

type generatedSpace struct {
	Mode  string `json:"nsmode,omitempty"`
	Value string `json:"value,omitempty"`
}

type generatedVolume struct {
	Name    string   `json:"Name"`
	Dest    string   `json:"Dest"`
	Options []string `json:"Options,omitempty"`
	SubPath string   `json:"SubPath,omitempty"`
}

type generatedLog struct {
	Driver  string            `json:"driver,omitempty"`
	Path    string            `json:"path,omitempty"`
	Size    int64             `json:"size,omitempty"`
	Options map[string]string `json:"options,omitempty"`
}

// Generate returns the description in the field's form.
func (c *Container) Generate() *Generated {
	p, s, r := &c.Process, &c.Security, &c.Resources
	g := &Generated{
		Name: c.Name, Image: c.Image, RawImageName: c.Image, Rootfs: c.Rootfs, Command: p.Command, Entrypoint: p.Entrypoint,
		Env: pairs(p.Env), UnsetEnv: p.UnsetEnv, UnsetEnvAll: p.UnsetEnvAll, Labels: c.Labels, Annotations: c.Annotations,
		Terminal: p.Terminal, Stdin: p.Stdin, WorkDir: p.WorkDir, User: p.User, Groups: p.Groups, Umask: p.Umask,
		Timezone: p.Timezone, Init: p.Init, InitPath: p.InitPath, StopTimeout: p.StopTimeout, Timeout: p.Timeout,
		OOMScoreAdj: p.OOMScoreAdj, Remove: c.Remove, Restart: c.Restart, RestartRetries: c.RestartRetries, Runtime: c.Runtime,
		CreateCommand: c.CreateCommand,
		Privileged:    s.Privileged, CapAdd: s.CapAdd, CapDrop: s.CapDrop, NoNewPrivileges: s.NoNewPrivileges, Seccomp: s.Seccomp,
		SELinux: s.Label, AppArmor: s.AppArmor, Mask: s.Mask, Unmask: s.Unmask, ProcOpts: s.ProcOpts, ReadOnly: s.ReadOnly,
		ReadOnlyTmpfs: s.ReadOnlyTmpfs, Sysctl: s.Sysctl, DeviceCgroupRules: s.DeviceCgroupRules,
		ShmSize: r.ShmSize, CgroupParent: r.CgroupParent, CgroupsMode: r.Cgroups,
		PID: space(c.Spaces.PID), IPC: space(c.Spaces.IPC), UTS: space(c.Spaces.UTS), Cgroup: space(c.Spaces.Cgroup),
		UserNS: space(c.Spaces.User), Ports: c.Network.Ports, PublishAll: c.Network.PublishAll, Hostname: c.Network.Hostname,
		AddHosts: c.Network.AddHosts, DNS: c.Network.DNS, DNSSearch: c.Network.DNSSearch, DNSOptions: c.Network.DNSOptions,
		ImageHosts: c.Network.NoHosts, ImageHostname: c.Network.NoHostname,
		VolumesFrom: c.Storage.VolumesFrom, ImageVolume: c.Storage.ImageVolume,
	}
	if signal, err := ParseSignal(p.StopSignal); err == nil {
		g.StopSignal = signal
	}
	for _, d := range s.Devices {
		g.Devices = append(g.Devices, generatedPath{d})
	}
	c.generateLimits(g)
	c.generateNetwork(g)
	c.generateStorage(g)
	return g
}

func (c *Container) generateLimits(g *Generated) {
	for _, w := range c.Security.Ulimits {
		if u, err := ParseUlimit(w); err == nil && w != "host" {
			g.Limits = append(g.Limits, rspec.POSIXRlimit{Type: u.oci(), Soft: u.Soft, Hard: u.Hard})
		}
	}
	limits := rspec.LinuxResources{Memory: c.memory(&Facts{}), CPU: c.cpu()}
	if c.Resources.PidsLimit != nil {
		limits.Pids = &rspec.LinuxPids{Limit: c.Resources.PidsLimit}
	}
	if limits.Memory != nil || limits.CPU != nil || limits.Pids != nil {
		g.Resources = &limits
	}
}

func (c *Container) generateNetwork(g *Generated) {
	mode, options, _ := strings.Cut(c.Network.Mode, ":")
	switch mode {
	case "pasta", "slirp4netns":
		g.Net = &generatedSpace{Mode: mode}
		if options != "" {
			g.NetworkOptions = map[string][]string{mode: strings.Split(options, ",")}
		}
	default:
		g.Net = space(c.Network.Mode)
	}
	for _, e := range c.Network.Expose {
		port, proto, _ := strings.Cut(e, "/")
		if proto == "" {
			proto = "tcp"
		}
		if g.Expose == nil {
			g.Expose = map[string]string{}
		}
		g.Expose[port] = proto
	}
}

func (c *Container) generateStorage(g *Generated) {
	for _, m := range c.Storage.Mounts {
		if m.Type == "volume" {
			g.Volumes = append(g.Volumes, generatedVolume{m.Source, m.Destination, m.Options, m.SubPath})
			continue
		}
		g.Mounts = append(g.Mounts, rspec.Mount{Type: m.Type, Source: m.Source, Destination: m.Destination, Options: m.Options})
	}
	if c.Log.Driver != "" {
		g.Log = &generatedLog{Driver: c.Log.Driver, Path: c.Log.Path, Size: c.Log.MaxSize}
		if c.Log.Tag != "" {
			g.Log.Options = map[string]string{"tag": c.Log.Tag}
		}
	}
}

// space is a namespace mode in the field's form; nil is the default.
func space(mode string) *generatedSpace {
	if mode == "" {
		return nil
	}
	kind, value, _ := strings.Cut(mode, ":")
	if kind == "ns" {
		kind = "path"
	}
	return &generatedSpace{kind, value}
}

func pairs(env []string) map[string]string {
	if len(env) == 0 {
		return nil
	}
	out := make(map[string]string, len(env))
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		out[name] = value
	}
	return out
}

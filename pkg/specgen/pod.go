package specgen

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Pod is what a user asked for when he made a pod. A zero field is unset.
type Pod struct {
	// Name is the pod's name; empty lets libpod choose one.
	Name string `json:"name,omitempty"`
	// Replace removes a pod of the same name first.
	Replace bool `json:"-"`
	// Labels are the pod's, and its infra container's.
	Labels map[string]string `json:"labels,omitempty"`
	// Share are the namespaces that the pod's containers have in common: cgroup,
	// ipc, net, pid, user, uts; nil is the default.
	Share []string `json:"share"`
	// NoShareParent: the pod's cgroup is not above those of its containers.
	NoShareParent bool `json:"no_share_parent,omitempty"`
	// ExitPolicy is continue ("") or stop: what becomes of the pod when the last of
	// its containers has ended.
	ExitPolicy string `json:"exit_policy,omitempty"`
	// Restart and RestartRetries are of containers that say nothing of their own.
	Restart        string `json:"restart,omitempty"`
	RestartRetries uint   `json:"restart_retries,omitempty"`
	// CreateCommand is the command line that made the pod, for inspect.
	CreateCommand []string `json:"create_command,omitempty"`

	// NoInfra: there is no container that holds the shared namespaces.
	NoInfra bool `json:"no_infra,omitempty"`
	// InfraName is that container's name; empty is made of the pod's id.
	InfraName string `json:"infra_name,omitempty"`
	// InfraImage is what it is made of; empty is the built-in program that waits.
	InfraImage string `json:"infra_image,omitempty"`
	// InfraCommand is what it runs, instead of that program or the image's command.
	InfraCommand []string `json:"infra_command,omitempty"`
	// InfraConmonPIDFile receives the pid of its conmon.
	InfraConmonPIDFile string `json:"infra_conmon_pidfile,omitempty"`

	// Resources bound the pod as a whole; ShmSize is of the shared /dev/shm.
	Resources Resources `json:"resources"`
	// Spaces and Network are those of the infra container, which others join.
	Spaces  Spaces  `json:"spaces"`
	Network Network `json:"network"`
	// Storage is mounted in all containers of the pod.
	Storage Storage `json:"storage"`
	// Security holds devices and options for all containers, and sysctls of the
	// shared namespaces.
	Security Security `json:"security"`
}

const (
	// InitAlways is the kind of init containers that run before each start of the pod;
	// those of InitOnce run once and are removed.
	InitAlways = "always"
	// InitOnce is said at InitAlways.
	InitOnce = "once"
	// ExitStop is the exit policy that ends a pod with its last container.
	ExitStop = "stop"
	// PauseProgram is where the built-in program is in an infra container.
	PauseProgram = "/pause"
)

// shareable are the namespaces of Share, in the order they are shown in.
func shareable() []string { return []string{"cgroup", "ipc", "net", "pid", "user", "uts"} }

func defaultShare() []string { return []string{"ipc", "net", "uts"} }

// ParseShare reads --share: a list of namespaces, none or nothing for none of
// them. With + before a name the default ones are in the list too.
func ParseShare(s string) ([]string, error) {
	list := []string{}
	for word := range strings.SplitSeq(s, ",") {
		name, added := strings.CutPrefix(strings.TrimSpace(word), "+")
		switch {
		case name == "" && !added:
			continue
		case name == "none" && !added:
			if strings.Contains(s, ",") {
				return nil, errors.New("none cannot be shared together with other namespaces")
			}
			continue
		case !slices.Contains(shareable(), name):
			return nil, fmt.Errorf("invalid kernel namespace to share: %s. Options are: cgroup, ipc, net, pid, user, uts or none", word)
		}
		if added {
			list = append(list, defaultShare()...)
		}
		list = append(list, name)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Shared are the namespaces that containers of the pod have in common: its own
// user namespace is always among them.
func (p *Pod) Shared() []string {
	if p.NoInfra {
		return nil
	}
	list := p.Share
	if list == nil {
		list = defaultShare()
	}
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "user" })
	if p.ownUsers() {
		list = append(list, "user")
		slices.Sort(list)
	}
	return list
}

func (p *Pod) shares(space string) bool { return slices.Contains(p.Shared(), space) }

// ownUsers says whether the pod has a user namespace of its own.
func (p *Pod) ownUsers() bool {
	return p.Spaces.Mapped() || (p.Spaces.User != "" && p.Spaces.User != "host")
}

// ParentCgroup says whether the pod's cgroup is above those of its containers.
func (p *Pod) ParentCgroup() bool { return !p.NoShareParent }

// Validate tests the description on its own, before anything is made.
func (p *Pod) Validate() error {
	if p.Name != "" {
		if err := CheckName(p.Name); err != nil {
			return err
		}
	}
	if len(p.Share) == 0 && p.Share != nil && p.InfraName == "" && p.InfraImage == "" && len(p.InfraCommand) == 0 {
		p.NoInfra = true // there is nothing to hold
	}
	for _, check := range []func() error{p.validateNames, p.validateNoInfra, p.validateModes} {
		if err := check(); err != nil {
			return err
		}
	}
	infra := p.Infra("x")
	return infra.Validate()
}

func (p *Pod) validateNames() error {
	switch p.ExitPolicy {
	case "", "continue", ExitStop:
	default:
		return fmt.Errorf("invalid pod exit policy: %q: it must be continue or stop", p.ExitPolicy)
	}
	for _, space := range p.Share {
		if !slices.Contains(shareable(), space) {
			return fmt.Errorf("invalid kernel namespace to share: %s", space)
		}
	}
	if p.InfraName != "" {
		if err := CheckName(p.InfraName); err != nil {
			return fmt.Errorf("--infra-name: %w", err)
		}
	}
	if f := p.InfraConmonPIDFile; f != "" && (!path.IsAbs(f) || hasControl(f)) {
		return fmt.Errorf("--infra-conmon-pidfile %q must be an absolute path", f)
	}
	if p.Resources.Cgroups != "" {
		return errors.New("a pod has no --cgroups: it is an option of its containers")
	}
	return p.Resources.validate()
}

// validateNoInfra refuses what the infra container would have to do.
func (p *Pod) validateNoInfra() error {
	if !p.NoInfra {
		return nil
	}
	n := &p.Network
	switch {
	case len(p.Share) > 0:
		return fmt.Errorf("cannot set share(%s) namespaces without an infra container", strings.Join(p.Share, ","))
	case len(n.Ports) > 0:
		return errors.New("you must have an infra container to publish port bindings to the host")
	case n.NoHosts:
		return errors.New("cannot specify --no-hosts without an infra container")
	}
	for _, w := range []struct {
		set  bool
		what string
	}{
		{n.Mode != "", "network modes"},
		{len(n.AddHosts) > 0, "HostAdd"},
		{len(n.DNS) > 0, "DNSServer"},
		{len(n.DNSSearch) > 0, "DNSSearch"},
		{len(n.DNSOptions) > 0, "DNSOption"},
		{n.Hostname != "", "Hostname"},
		{n.HostsFile != "" || n.NoHostname, "HostsFile"},
		{p.InfraName != "", "InfraName"},
		{p.InfraImage != "", "InfraImage"},
		{len(p.InfraCommand) > 0, "InfraCommand"},
		{p.InfraConmonPIDFile != "", "InfraConmonPidFile"},
		{p.ownUsers() || p.Spaces.PID != "" || p.Spaces.UTS != "", "namespaces"},
		{len(p.Storage.Mounts)+len(p.Storage.VolumesFrom) > 0, "volumes"},
		{p.Resources.ShmSize > 0 || p.Resources.ShmSizeSystemd > 0, "sizes of shared memory"},
		{len(p.Security.Devices)+len(p.Security.CDI)+len(p.Security.GPUs) > 0, "devices"},
		{len(p.Security.Sysctl) > 0, "sysctls"},
		{len(p.Security.Label) > 0 || p.Security.Seccomp != "" || p.Security.AppArmor != "" || p.Security.NoNewPrivileges, "security options"},
	} {
		if w.set {
			return fmt.Errorf("NoInfra and %s cannot be used together: invalid pod spec: leave --infra=false (or --share none) out", w.what)
		}
	}
	return nil
}

func (p *Pod) validateModes() error {
	mode, _, _ := strings.Cut(p.Network.Mode, ":")
	switch {
	case mode == "container":
		return errors.New("pods presently do not support network mode container")
	case p.Network.Hostname != "" && p.Spaces.UTS == "host":
		return errors.New("invalid config provided: cannot set hostname when running in the host UTS namespace: invalid configuration")
	case slices.Contains(p.Share, "cgroup") && p.ParentCgroup():
		return errors.New("cannot define the pod as the cgroup parent at the same time as joining the infra container's cgroupNS: add --share-parent=false: invalid argument")
	}
	return nil
}

// Infra describes the container that holds the namespaces of the pod with this id.
func (p *Pod) Infra(id string) *Container {
	c := &Container{
		Name: p.InfraName, Pod: id, IsInfra: true, Labels: p.Labels, ConmonPIDFile: p.InfraConmonPIDFile,
		Restart: p.Restart, RestartRetries: p.RestartRetries, CreateCommand: p.CreateCommand,
		Security: p.Security, Spaces: p.Spaces, Network: p.Network, Storage: p.Storage, Image: p.InfraImage,
	}
	c.Resources.ShmSize, c.Resources.ShmSizeSystemd = p.Resources.ShmSize, p.Resources.ShmSizeSystemd
	c.Resources.CgroupParent, c.PodCgroup = p.Resources.CgroupParent, p.ParentCgroup()
	if c.Name == "" {
		c.Name = id[:min(len(id), 12)] + "-infra"
	}
	if p.Network.Hostname == "" && p.Spaces.UTS != "host" {
		c.Network.Hostname = p.Name[:min(len(p.Name), maxHostname)]
	}
	c.Process.Command = p.InfraCommand
	if p.InfraImage == "" && len(p.InfraCommand) == 0 {
		c.Process.Entrypoint = []string{PauseProgram}
	}
	if p.InfraImage != "" && len(p.InfraCommand) > 0 {
		c.Process.Entrypoint = []string{} // the image's is not asked
	}
	c.Health.Test = []string{"NONE"}
	if c.Pause() { // it needs nothing, and prints nothing
		files := false
		c.Security.CapDrop, c.Security.NoNewPrivileges = []string{"ALL"}, true
		c.Security.ReadOnly, c.Security.ReadOnlyTmpfs = true, &files
		c.Log.Driver = "none"
	}
	return c
}

// Layered says whether the container's root file system is a layer of the store,
// over an image: not a directory of the user's, nor that of the built-in program
// of a pod.
func (c *Container) Layered() bool { return c.Rootfs == "" && !c.Pause() }

// Pause says whether the container is a pod's that runs the built-in program.
func (c *Container) Pause() bool { return c.IsInfra && c.Image == "" }

// Join makes c a container of the pod: it gets the pod's namespaces where it asks
// for none of its own, and what the pod gives all its containers. infra is nil
// without such a container.
func (p *Pod) Join(c *Container, infraID string, infra *Container) error {
	if c.Restart == "" && !c.Remove && c.InitCtr == "" {
		c.Restart, c.RestartRetries = p.Restart, p.RestartRetries
	}
	if err := p.joinCgroup(c); err != nil {
		return err
	}
	if infra == nil {
		return nil
	}
	if err := p.joinUsers(c, infraID); err != nil {
		return err
	}
	if err := p.joinNetwork(c, infraID, infra); err != nil {
		return err
	}
	if p.shares("uts") && c.Spaces.UTS == "" && c.Network.Hostname != "" {
		return errors.New("invalid config provided: cannot set hostname when joining the pod UTS namespace: invalid configuration")
	}
	if p.shares("uts") && c.Spaces.UTS == "" {
		c.Network.Hostname = infra.Network.Hostname
	}
	for _, s := range []struct {
		name     string
		mode, of *string
	}{
		{"cgroup", &c.Spaces.Cgroup, &infra.Spaces.Cgroup},
		{"ipc", &c.Spaces.IPC, &infra.Spaces.IPC},
		{"pid", &c.Spaces.PID, &infra.Spaces.PID},
		{"uts", &c.Spaces.UTS, &infra.Spaces.UTS},
	} {
		if *s.mode == "" && p.shares(s.name) {
			*s.mode = joinMode(*s.of, infraID)
		}
	}
	for _, m := range infra.Storage.Mounts {
		if m.Type == "tmpfs" || slices.ContainsFunc(c.Storage.Mounts, func(own Mount) bool { return own.Destination == m.Destination }) {
			continue
		}
		m.Options = slices.Clone(m.Options)
		c.Storage.Mounts = append(c.Storage.Mounts, m)
	}
	p.joinSecurity(&c.Security, infra)
	return nil
}

// joinMode is the mode of a namespace that the infra container shares. Into those of
// the host nobody can be put by joining: the kernel asks for privileges over them.
func joinMode(infra, infraID string) string {
	if infra == "host" {
		return infra
	}
	return "container:" + infraID
}

func (p *Pod) joinCgroup(c *Container) error {
	r := &c.Resources
	// With split, as in a Quadlet file's service, the container is the service's: it
	// ends with it, and the service's limits count, not the pod's.
	if c.PodCgroup = p.ParentCgroup() && r.Cgroups != "disabled" && r.Cgroups != "split"; !c.PodCgroup {
		return nil
	}
	if r.CgroupParent != "" {
		return fmt.Errorf("--cgroup-parent %s: the pod's cgroup is the parent of its containers': leave it out, or create the pod with --share-parent=false", r.CgroupParent)
	}
	r.CgroupParent = p.Resources.CgroupParent
	return nil
}

func (p *Pod) joinUsers(c *Container, infraID string) error {
	switch {
	case c.Spaces.Mapped():
		return errors.New("cannot specify a new uid/gid map when entering a pod with an infra container: invalid argument")
	case c.Spaces.User != "":
		return errors.New("--userns and --pod cannot be set together")
	}
	if p.ownUsers() {
		c.Spaces.User = "container:" + infraID
	}
	return nil
}

// joinNetwork gives c the pod's network, unless it asks for another one.
func (p *Pod) joinNetwork(c *Container, infraID string, infra *Container) error {
	n := &c.Network
	if !p.shares("net") || n.Mode != "" {
		return nil
	}
	const shared = "network cannot be configured when it is shared with a pod"
	switch {
	case len(n.Ports) > 0 || n.PublishAll:
		return fmt.Errorf("invalid config provided: published or exposed ports must be defined when the pod is created: %s", shared)
	case len(n.AddHosts) > 0:
		return fmt.Errorf("invalid config provided: extra host entries must be specified on the pod: %s", shared)
	case len(n.DNS)+len(n.DNSSearch)+len(n.DNSOptions) > 0:
		return fmt.Errorf("invalid config provided: DNS servers, options and search domains must be specified on the pod: %s", shared)
	}
	n.Mode = joinMode(infra.Network.Mode, infraID)
	n.DNS, n.DNSSearch, n.DNSOptions = p.Network.DNS, p.Network.DNSSearch, p.Network.DNSOptions
	n.NoHosts = n.NoHosts || p.Network.NoHosts
	if !n.NoHosts {
		n.AddHosts = p.Network.AddHosts
	}
	if n.HostsFile == "" {
		n.HostsFile = p.Network.HostsFile
	}
	n.NoHostname = n.NoHostname || p.Network.NoHostname
	return nil
}

// joinSecurity gives a container what the pod asks for all.
func (p *Pod) joinSecurity(s *Security, infra *Container) {
	s.Devices = slices.Concat(s.Devices, infra.Security.Devices)
	s.CDI = slices.Concat(s.CDI, infra.Security.CDI)
	s.NoNewPrivileges = s.NoNewPrivileges || p.Security.NoNewPrivileges
	if s.Privileged {
		return // it has none of the following
	}
	if s.Seccomp == "" {
		s.Seccomp = p.Security.Seccomp
	}
	if s.AppArmor == "" {
		s.AppArmor = p.Security.AppArmor
	}
	if len(s.Label) == 0 {
		s.Label = p.Security.Label
	}
}

// Leave takes from a container what Join gave it, so that it can join another pod,
// or this one again. What both the pod and the user asked for cannot be told
// apart, and is the pod's.
func (p *Pod) Leave(c *Container, infraID string, infra *Container) {
	c.Pod, c.PodCgroup, c.IsInfra = "", false, false
	if p.ParentCgroup() {
		c.Resources.CgroupParent = ""
	}
	if c.Restart == p.Restart {
		c.Restart, c.RestartRetries = "", 0
	}
	if infra == nil {
		return
	}
	s, n, of := &c.Spaces, &c.Network, &infra.Spaces
	if p.shares("uts") && s.UTS == joinMode(of.UTS, infraID) {
		s.UTS, n.Hostname = "", ""
	}
	for _, space := range []struct {
		name string
		mode *string
		of   string
	}{{"cgroup", &s.Cgroup, of.Cgroup}, {"ipc", &s.IPC, of.IPC}, {"pid", &s.PID, of.PID}, {"user", &s.User, ""}} {
		if p.shares(space.name) && *space.mode == joinMode(space.of, infraID) {
			*space.mode = ""
		}
	}
	if p.shares("net") && n.Mode == joinMode(infra.Network.Mode, infraID) {
		n.Mode, n.AddHosts, n.DNS, n.DNSSearch, n.DNSOptions = "", nil, nil, nil, nil
		n.NoHosts, n.NoHostname = n.NoHosts && !p.Network.NoHosts, n.NoHostname && !p.Network.NoHostname
		if n.HostsFile == p.Network.HostsFile {
			n.HostsFile = ""
		}
	}
	c.Storage.Mounts = slices.DeleteFunc(c.Storage.Mounts, func(m Mount) bool {
		return slices.ContainsFunc(infra.Storage.Mounts, func(of Mount) bool { return of.Destination == m.Destination && of.Source == m.Source })
	})
	p.leaveSecurity(&c.Security, infra)
}

func (p *Pod) leaveSecurity(s *Security, infra *Container) {
	of := func(list []string) func(string) bool { return func(w string) bool { return slices.Contains(list, w) } }
	s.Devices = slices.DeleteFunc(s.Devices, of(infra.Security.Devices))
	s.CDI = slices.DeleteFunc(s.CDI, of(infra.Security.CDI))
	s.NoNewPrivileges = s.NoNewPrivileges && !p.Security.NoNewPrivileges
	if s.Seccomp == p.Security.Seccomp {
		s.Seccomp = ""
	}
	if s.AppArmor == p.Security.AppArmor {
		s.AppArmor = ""
	}
	if slices.Equal(s.Label, p.Security.Label) {
		s.Label = nil
	}
}

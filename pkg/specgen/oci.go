package specgen

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

const (
	// ociVersion is what the specification claims: crun 1.8 (Debian 12) knows
	// no version but 1.0.x, and nothing pod writes needs a later one.
	ociVersion = "1.0.2"
	// defaultPath is the field's PATH for containers whose image sets none.
	defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	// defaultInitPath is where --init finds its program in the container.
	defaultInitPath = "/run/podman-init"
	// keepGroups as a supplementary group keeps those of the host's user.
	keepGroups = "keep-groups"
)

// ToOCI computes the specification for the OCI runtime. It reads nothing of the
// host: what it must know of it is in f. The image's defaults are applied
// already (ApplyImage).
func (c *Container) ToOCI(f Facts) (*rspec.Spec, error) {
	process, err := c.ociProcess(&f)
	if err != nil {
		return nil, err
	}
	namespaces, err := c.namespaces(&f)
	if err != nil {
		return nil, err
	}
	mounts, err := c.ociMounts(&f)
	if err != nil {
		return nil, err
	}
	resources, err := c.ociResources(&f)
	if err != nil {
		return nil, err
	}
	sysctl, err := c.sysctls(&f)
	if err != nil {
		return nil, err
	}
	spec := &rspec.Spec{
		Version:     ociVersion,
		Process:     process,
		Root:        &rspec.Root{Path: f.RootfsPath, Readonly: c.Security.ReadOnly},
		Mounts:      mounts,
		Annotations: maps.Clone(c.Annotations),
		Linux: &rspec.Linux{
			UIDMappings: f.UIDMap, GIDMappings: f.GIDMap,
			Sysctl: sysctl, Resources: resources, CgroupsPath: f.CgroupsPath,
			Namespaces: namespaces, MountLabel: f.MountLabel,
			RootfsPropagation: rootfsPropagation(mounts),
		},
	}
	if f.UserNS != "" {
		spec.Linux.UIDMappings, spec.Linux.GIDMappings = nil, nil // a namespace that exists has them
	}
	if name := c.Process.Personality; name != "" {
		spec.Linux.Personality = &rspec.LinuxPersonality{Domain: rspec.LinuxPersonalityDomain(name)}
	}
	if c.Resources.RDTClass != "" {
		spec.Linux.IntelRdt = &rspec.LinuxIntelRdt{ClosID: c.Resources.RDTClass}
	}
	if c.keepsGroups() {
		if spec.Annotations == nil {
			spec.Annotations = map[string]string{}
		}
		// crun's way not to call setgroups; the groups stay, unmapped.
		spec.Annotations["run.oci.keep_original_groups"] = "1"
	}
	if !isShared(c.Spaces.UTS) && f.UTSNS == "" && !f.HostnameRefused {
		spec.Hostname = f.Hostname
	}
	if !c.Security.Privileged {
		spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = c.hiddenPaths(&f)
	}
	if c.Security.Seccomp != "unconfined" && (!c.Security.Privileged || c.Security.Seccomp != "") {
		spec.Linux.Seccomp = f.Seccomp
	}
	if err := c.ociDevices(&f, spec); err != nil {
		return nil, err
	}
	return spec, nil
}

// keepsGroups reports whether the host user's groups are kept.
func (c *Container) keepsGroups() bool { return slices.Contains(c.Process.Groups, keepGroups) }

func (c *Container) ociProcess(f *Facts) (*rspec.Process, error) {
	args := slices.Concat(c.Process.Entrypoint, c.Process.Command)
	if len(args) == 0 {
		return nil, ErrNoCommand
	}
	if c.Process.Init {
		init := f.InitPath
		if init == "" {
			init = defaultInitPath
		}
		args = append([]string{init, "--"}, args...)
	}
	user, err := c.ociUser(f)
	if err != nil {
		return nil, err
	}
	caps, err := c.capabilities(f)
	if err != nil {
		return nil, err
	}
	rlimits, err := c.rlimits(f)
	if err != nil {
		return nil, err
	}
	if adj := c.Process.OOMScoreAdj; adj != nil && f.Rootless && *adj < f.OOMScoreAdj {
		return nil, fmt.Errorf("--oom-score-adj %d is below pod's own %d, and an unprivileged user can only raise it", *adj, f.OOMScoreAdj)
	}
	cwd := "/"
	if c.Process.WorkDir != "" {
		cwd = path.Clean(c.Process.WorkDir)
	}
	return &rspec.Process{
		Terminal: c.Process.Terminal, User: user, Args: args, Env: c.environment(f), Cwd: cwd,
		Capabilities: caps, Rlimits: rlimits, NoNewPrivileges: c.Security.NoNewPrivileges,
		ApparmorProfile: c.apparmor(), SelinuxLabel: f.ProcessLabel, OOMScoreAdj: c.Process.OOMScoreAdj,
	}, nil
}

// apparmor is the user's profile; unconfined is the runtime's behaviour
// without one.
func (c *Container) apparmor() string {
	if c.Security.AppArmor == "unconfined" {
		return ""
	}
	return c.Security.AppArmor
}

func (c *Container) ociUser(f *Facts) (rspec.User, error) {
	user := rspec.User{UID: f.UID, GID: f.GID}
	for _, id := range []struct {
		kind string
		id   uint32
		maps []rspec.LinuxIDMapping
	}{{"user", f.UID, f.UIDMap}, {"group", f.GID, f.GIDMap}} {
		if !f.isMapped(id.maps, id.id) {
			return user, fmt.Errorf("%s id %d is not mapped in the container's user namespace: "+
				"give the user more sub-ids (usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST) or choose another --user", id.kind, id.id)
		}
	}
	mask, err := parseUmask(c.Process.Umask)
	if err != nil {
		return user, err
	}
	user.Umask = &mask
	// With one mapped id the kernel forbids setgroups; there is no other group.
	if c.keepsGroups() || f.SingleID {
		return user, nil
	}
	user.AdditionalGids = f.Groups
	for _, g := range f.Groups {
		if !f.isMapped(f.GIDMap, g) {
			return user, fmt.Errorf("group id %d, which the user is in too, is not mapped in the container's user namespace: map it, or choose another --user", g)
		}
	}
	return user, nil
}

// isMapped reports whether id exists in the container: by maps, the map of its
// own user namespace, or else by pod's.
func (f *Facts) isMapped(maps []rspec.LinuxIDMapping, id uint32) bool {
	if len(maps) == 0 {
		return id == 0 || !f.SingleID
	}
	return slices.ContainsFunc(maps, func(m rspec.LinuxIDMapping) bool {
		return id >= m.ContainerID && id-m.ContainerID < m.Size
	})
}

// inUserNS reports whether the container has no real root.
func (f *Facts) inUserNS() bool { return f.Rootless || f.ownUserNS() }

// ownUserNS reports whether the container is in another user namespace than pod.
func (f *Facts) ownUserNS() bool { return len(f.UIDMap) > 0 || f.UserNS != "" }

func parseUmask(s string) (uint32, error) {
	if s == "" {
		return 0o022, nil
	}
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("invalid umask %q: it must be octal, as 0022", s)
	}
	return uint32(n), nil
}

// environment is the process's environment: defaults below Process.Env, which
// holds the image's variables and the user's.
func (c *Container) environment(f *Facts) []string {
	// container=podman, not pod: scripts of the field ask whether the variable
	// exists, some for this value; none can know ours.
	defaults := []string{defaultPath, "container=podman"}
	if c.Process.Terminal {
		defaults = append(defaults, "TERM=xterm")
	}
	if f.Hostname != "" {
		defaults = append(defaults, "HOSTNAME="+f.Hostname)
	}
	if f.Home != "" {
		defaults = append(defaults, "HOME="+f.Home)
	}
	if c.SystemdMode() && len(f.ID) > 32 {
		defaults = append(defaults, "container_uuid="+f.ID[:32])
	}
	return mergeEnv(c.keptEnv(slices.Concat(defaults, f.Env, c.Process.EnvDefaults)), c.Process.Env)
}

// isShared reports whether a mode uses the host's namespace.
func isShared(mode string) bool { return mode == "host" }

func (c *Container) namespaces(f *Facts) ([]rspec.LinuxNamespace, error) {
	list := make([]rspec.LinuxNamespace, 0, 7)
	list = append(list, rspec.LinuxNamespace{Type: rspec.MountNamespace})
	cgroup := c.Spaces.Cgroup
	if cgroup == "" && !f.CgroupV2 {
		cgroup = "host" // version 1 gains nothing by it, and runtimes differ there
	}
	for _, s := range []struct {
		kind       rspec.LinuxNamespaceType
		mode, path string
	}{
		{rspec.PIDNamespace, c.Spaces.PID, f.PIDNS},
		{rspec.IPCNamespace, c.Spaces.IPC, f.IPCNS},
		{rspec.UTSNamespace, c.Spaces.UTS, f.UTSNS},
		{rspec.CgroupNamespace, cgroup, f.CgroupNS},
	} {
		if isShared(s.mode) {
			continue
		}
		kind, _, joins := strings.Cut(s.mode, ":")
		if joins && s.path == "" {
			return nil, fmt.Errorf("namespace %s=%s: %s has no path", s.kind, s.mode, kind)
		}
		list = append(list, rspec.LinuxNamespace{Type: s.kind, Path: s.path})
	}
	if f.NetNS != "host" {
		list = append(list, rspec.LinuxNamespace{Type: rspec.NetworkNamespace, Path: f.NetNS})
	}
	if len(f.UIDMap) > 0 || f.UserNS != "" {
		list = append(list, rspec.LinuxNamespace{Type: rspec.UserNamespace, Path: f.UserNS})
	}
	return list, nil
}

// sysctls checks that each key belongs to a namespace of the container: any
// other would be the host's.
func (c *Container) sysctls(f *Facts) (map[string]string, error) {
	for key := range c.Security.Sysctl {
		switch sysctlSpace(key) {
		case "network":
			if f.NetNS == "host" {
				return nil, fmt.Errorf("sysctl %s needs a network namespace of its own: it cannot be used with --network=host", key)
			}
		case "ipc":
			if isShared(c.Spaces.IPC) {
				return nil, fmt.Errorf("sysctl %s needs an IPC namespace of its own: it cannot be used with --ipc=host", key)
			}
		case "uts":
			if isShared(c.Spaces.UTS) {
				return nil, fmt.Errorf("sysctl %s needs a UTS namespace of its own: it cannot be used with --uts=host", key)
			}
		default:
			return nil, errSysctl(key)
		}
	}
	return maps.Clone(c.Security.Sysctl), nil
}

func errSysctl(key string) error {
	return fmt.Errorf("sysctl %q is not allowed: only those of a namespace are (net.*, fs.mqueue.*, kernel.msg*, kernel.sem, kernel.shm*)", key)
}

// sysctlSpace names the namespace a sysctl belongs to; empty for the host's.
func sysctlSpace(key string) string {
	switch key {
	case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
		"kernel.shmmni", "kernel.shm_rmid_forced":
		return "ipc"
	case "kernel.domainname", "kernel.hostname":
		return "uts"
	}
	switch {
	case strings.Contains(key, "/") || strings.Contains(key, ".."):
		return ""
	case strings.HasPrefix(key, "net."):
		return "network"
	case strings.HasPrefix(key, "fs.mqueue."):
		return "ipc"
	}
	return ""
}

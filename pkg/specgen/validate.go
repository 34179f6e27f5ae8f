package specgen

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

const (
	// maxHostname is the kernel's __NEW_UTS_LEN.
	maxHostname = 64
)

// Validate tests the description on its own, before anything is made. Each
// error is one line that names the option.
func (c *Container) Validate() error {
	for _, check := range []func() error{
		c.validateIdentity, c.Process.validate, c.Security.validate, c.Resources.validate, c.Spaces.validate,
		c.Network.validate, c.Storage.validate, c.CheckLog, c.Health.Validate, c.validateTogether, c.validateExtra,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Container) validateIdentity() error {
	if c.Name != "" {
		if err := CheckName(c.Name); err != nil {
			return err
		}
	}
	if c.Image != "" && c.Rootfs != "" {
		return errors.New("an image and --rootfs exclude each other")
	}
	if c.Rootfs != "" && (!path.IsAbs(c.Rootfs) || hasControl(c.Rootfs)) {
		return fmt.Errorf("--rootfs %q must be an absolute path", c.Rootfs)
	}
	if err := c.checkRootfsOption(); err != nil {
		return err
	}
	if _, _, err := ParseRestart(c.Restart); err != nil || strings.Contains(c.Restart, ":") {
		return fmt.Errorf("invalid restart policy %q: it must be no, always, unless-stopped or on-failure[:MAX]", c.Restart)
	}
	if c.RestartRetries > 0 && c.Restart != "on-failure" {
		return fmt.Errorf("restart policy %q takes no number of retries: only on-failure does", c.Restart)
	}
	switch {
	case c.InitCtr != "" && c.InitCtr != InitAlways && c.InitCtr != InitOnce:
		return errors.New("init-ctr value must be 'always' or 'once'")
	case c.InitCtr != "" && c.Pod == "":
		return errors.New("must specify pod value with init-ctr")
	case c.InitCtr != "" && c.Remove:
		return errors.New("--init-ctr and --rm exclude each other: --init-ctr once removes the container when it has run")
	case c.InitCtr != "" && c.Restart != "" && c.Restart != "no":
		return fmt.Errorf("--init-ctr and --restart=%s exclude each other: an init container runs to its end", c.Restart)
	case hasControl(c.Pod):
		return fmt.Errorf("invalid pod %q", c.Pod)
	}
	for _, m := range []map[string]string{c.Labels, c.Annotations} {
		for name := range m {
			if _, _, err := ParseLabel(name + "="); err != nil {
				return err
			}
		}
	}
	return nil
}

// validateTogether tests what several parts say together.
func (c *Container) validateTogether() error {
	if c.Remove && c.Restart != "" && c.Restart != "no" {
		return fmt.Errorf("--rm and --restart=%s exclude each other: a container that is removed cannot be restarted", c.Restart)
	}
	if c.Remove && c.Health.OnFailure == OnFailureRestart {
		return errors.New("--rm and --health-on-failure=restart exclude each other: a container that is removed cannot be restarted")
	}
	if c.Resources.Cgroups == "disabled" {
		if used := c.Resources.limitFlags(); len(used) > 0 {
			return fmt.Errorf("%s needs a cgroup: it cannot be used with --cgroups=disabled", used[0].flag)
		}
	}
	if c.Network.Hostname != "" && isShared(c.Spaces.UTS) {
		return errors.New("--hostname needs a UTS namespace of its own: it cannot be used with --uts=host")
	}
	if len(c.Network.Ports) > 0 || c.Network.PublishAll {
		switch mode, _, _ := strings.Cut(c.Network.Mode, ":"); mode {
		case "host", "none", "container", "ns":
			return fmt.Errorf("--publish cannot be used with --network=%s: there is nothing to forward from", mode)
		}
	}
	if c.Resources.ShmSize > 0 && (c.Spaces.IPC == "host" || strings.HasPrefix(c.Spaces.IPC, "container:")) {
		return fmt.Errorf("--shm-size cannot be used with --ipc=%s: its /dev/shm is not this container's", c.Spaces.IPC)
	}
	return nil
}

func (p *Process) validate() error {
	if err := p.validateWords(); err != nil {
		return err
	}
	if p.WorkDir != "" && (!path.IsAbs(p.WorkDir) || strings.ContainsRune(p.WorkDir, 0)) {
		return fmt.Errorf("--workdir %q must be an absolute path", p.WorkDir)
	}
	if p.User != "" {
		if _, _, err := ParseUser(p.User); err != nil {
			return err
		}
	}
	for _, g := range p.Groups {
		if g == "" || hasControl(g) || strings.Contains(g, ":") {
			return fmt.Errorf("invalid group %q for --group-add", g)
		}
	}
	if len(p.Groups) > 1 && slices.Contains(p.Groups, keepGroups) {
		return errors.New("--group-add keep-groups keeps the host's groups and cannot be joined with others")
	}
	if _, err := parseUmask(p.Umask); err != nil {
		return err
	}
	if p.StopSignal != "" {
		if _, err := ParseSignal(p.StopSignal); err != nil {
			return fmt.Errorf("--stop-signal: %w", err)
		}
	}
	if p.InitPath != "" && (!path.IsAbs(p.InitPath) || hasControl(p.InitPath)) {
		return fmt.Errorf("--init-path %q must be an absolute path", p.InitPath)
	}
	if hasControl(p.Timezone) || slices.Contains(strings.Split(p.Timezone, "/"), "..") {
		return fmt.Errorf("invalid timezone %q", p.Timezone)
	}
	if p.OOMScoreAdj != nil && (*p.OOMScoreAdj < -1000 || *p.OOMScoreAdj > 1000) {
		return fmt.Errorf("--oom-score-adj %d must be from -1000 to 1000", *p.OOMScoreAdj)
	}
	return nil
}

// validateWords tests the command and its environment.
func (p *Process) validateWords() error {
	for _, w := range slices.Concat(p.Entrypoint, p.Command) {
		if strings.ContainsRune(w, 0) {
			return fmt.Errorf("command word %q holds a NUL character", w)
		}
	}
	for _, e := range slices.Concat(p.Env, p.EnvDefaults) {
		if name, _, ok := strings.Cut(e, "="); !ok || name == "" || strings.ContainsRune(e, 0) {
			return fmt.Errorf("invalid environment variable %q: it must be NAME=VALUE", e)
		}
	}
	return nil
}

func (s *Security) validate() error {
	add, err := normalizeCaps(s.CapAdd)
	if err != nil {
		return fmt.Errorf("--cap-add: %w", err)
	}
	drop, err := normalizeCaps(s.CapDrop)
	if err != nil {
		return fmt.Errorf("--cap-drop: %w", err)
	}
	for _, name := range add {
		if slices.Contains(drop, name) {
			return fmt.Errorf("capability %q cannot be dropped and added", name)
		}
	}
	for _, p := range slices.Concat(s.Mask, s.Unmask) {
		if p != "ALL" && (!path.IsAbs(p) || hasControl(p)) {
			return fmt.Errorf("--security-opt mask and unmask take absolute paths, not %q", p)
		}
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("--security-opt unmask: bad pattern %q", p)
		}
	}
	for _, o := range s.ProcOpts {
		switch key, _, _ := strings.Cut(o, "="); key {
		case "hidepid", "gid", "subset", "ro", "rw", "nosuid", "noexec", "nodev", "noatime", "relatime":
		default:
			return fmt.Errorf("--security-opt proc-opts: unknown option %q", o)
		}
	}
	for key, value := range s.Sysctl {
		if sysctlSpace(key) == "" || strings.ContainsRune(value, 0) {
			return errSysctl(key)
		}
	}
	if err := s.validateDevices(); err != nil {
		return err
	}
	if s.Seccomp != "" && s.Seccomp != "unconfined" && hasControl(s.Seccomp) {
		return fmt.Errorf("--security-opt seccomp: invalid path %q", s.Seccomp)
	}
	return nil
}

// validateDevices tests devices and ulimits.
func (s *Security) validateDevices() error {
	for _, d := range s.Devices {
		if _, err := ParseDevice(d); err != nil {
			return err
		}
	}
	for _, r := range s.DeviceCgroupRules {
		if _, err := parseDeviceRule(r); err != nil {
			return err
		}
	}
	for _, u := range s.Ulimits {
		if u == "host" {
			continue
		}
		if _, err := ParseUlimit(u); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spaces) validate() error {
	for _, n := range []struct{ flag, mode string }{
		{"--pid", s.PID}, {"--ipc", s.IPC}, {"--uts", s.UTS}, {"--cgroupns", s.Cgroup},
	} {
		kind, arg, joins := strings.Cut(n.mode, ":")
		switch {
		case !joins && slices.Contains([]string{"", "private", "host"}, kind):
		case !joins && n.flag == "--ipc" && (kind == "none" || kind == "shareable"):
		case joins && kind == "container" && arg != "" && !hasControl(arg):
		case joins && kind == "ns" && path.IsAbs(arg) && !hasControl(arg):
		default:
			return fmt.Errorf("invalid %s %q: it must be private, host, container:NAME or ns:PATH", n.flag, n.mode)
		}
	}
	_, err := ParseUserNS(s.User)
	return err
}

func (n *Network) validate() error {
	if err := n.validateMode(); err != nil {
		return err
	}
	if err := n.checkShape(); err != nil {
		return err
	}
	if len(n.Hostname) > maxHostname {
		return fmt.Errorf("hostname %q is longer than 64 characters", n.Hostname)
	}
	if hasControl(n.Hostname) || strings.ContainsAny(n.Hostname, " /") {
		return fmt.Errorf("invalid hostname %q", n.Hostname)
	}
	for _, p := range n.Expose {
		if _, err := ParseExpose(p); err != nil {
			return err
		}
	}
	for _, h := range n.AddHosts {
		if err := checkAddHost(h); err != nil {
			return err
		}
	}
	if n.NoHosts && len(n.AddHosts) > 0 {
		return errors.New("--no-hosts and --add-host exclude each other")
	}
	for _, d := range n.DNS {
		if _, err := netip.ParseAddr(d); err != nil && (d != "none" || len(n.DNS) > 1) {
			return fmt.Errorf("invalid DNS server %q: it must be an address, or none alone", d)
		}
	}
	for _, w := range slices.Concat(n.DNSSearch, n.DNSOptions) {
		// A line break would write lines of its own into resolv.conf.
		if w == "" || hasControl(w) || strings.ContainsAny(w, " ") {
			return fmt.Errorf("invalid DNS search domain or option %q", w)
		}
	}
	return n.validatePorts()
}

func (n *Network) validateMode() error {
	mode, arg, hasArg := strings.Cut(n.Mode, ":")
	switch mode {
	case "", "none", "host", "private", Bridge:
		if hasArg {
			return fmt.Errorf("invalid --network %q", n.Mode)
		}
	case "pasta", "slirp4netns":
	case "container":
		if arg == "" {
			return fmt.Errorf("invalid --network %q: it must be container:NAME", n.Mode)
		}
	case "ns":
		if !path.IsAbs(arg) {
			return fmt.Errorf("invalid --network %q: it must be ns:PATH", n.Mode)
		}
	default:
		return fmt.Errorf("invalid --network mode %q", n.Mode)
	}
	if hasControl(n.Mode) {
		return fmt.Errorf("invalid --network %q", n.Mode)
	}
	return n.CheckNetworks()
}

// checkAddHost tests NAME[;NAME…]:IP.
func checkAddHost(s string) error {
	names, ip, ok := strings.Cut(s, ":")
	if !ok || names == "" || hasControl(s) || strings.ContainsAny(s, " \t#") {
		return fmt.Errorf("invalid --add-host %q: it must be NAME[;NAME]:IP", s)
	}
	if slices.Contains(strings.Split(names, ";"), "") {
		return fmt.Errorf("invalid --add-host %q: empty name", s)
	}
	if ip == "host-gateway" {
		return nil
	}
	if _, err := netip.ParseAddr(strings.Trim(ip, "[]")); err != nil {
		return fmt.Errorf("invalid --add-host %q: %q is neither an address nor host-gateway", s, ip)
	}
	return nil
}

// validatePorts refuses ports that cannot be, or are published twice.
func (n *Network) validatePorts() error {
	for i, p := range n.Ports {
		if err := checkProtocol(p.Protocol); err != nil {
			return err
		}
		if p.Range == 0 || p.ContainerPort == 0 || int(p.ContainerPort)+int(p.Range) > 1<<16 || int(p.HostPort)+int(p.Range) > 1<<16 {
			return fmt.Errorf("invalid port mapping %d:%d: ports are from 1 to 65535", p.HostPort, p.ContainerPort)
		}
		if _, err := netip.ParseAddr(p.HostIP); p.HostIP != "" && err != nil {
			return fmt.Errorf("invalid host address %q of port %d", p.HostIP, p.HostPort)
		}
		for _, q := range n.Ports[:i] {
			if p.conflicts(q) {
				return fmt.Errorf("conflicting port mappings for host port %d (protocol %s)", max(p.HostPort, q.HostPort), p.Protocol)
			}
		}
	}
	return nil
}

// conflicts reports whether two mappings listen at one place.
func (p PortMapping) conflicts(q PortMapping) bool {
	return p.HostPort != 0 && q.HostPort != 0 && p.Protocol == q.Protocol && p.HostIP == q.HostIP &&
		int(p.HostPort) < int(q.HostPort)+int(q.Range) && int(q.HostPort) < int(p.HostPort)+int(p.Range)
}

func (s *Storage) validate() error {
	seen := make(map[string]bool, len(s.Mounts))
	for i := range s.Mounts {
		m := s.Mounts[i]
		switch {
		case !slices.Contains([]string{"bind", "volume", "tmpfs", "ramfs", "devpts", "image", "glob", "scratch"}, m.Type):
			return fmt.Errorf("mount %s: unknown type %q: it must be %s", m.Destination, m.Type, mountTypes)
		case (m.Type == "bind" || m.Type == "glob") && !path.IsAbs(m.Source):
			return fmt.Errorf("mount %s: source %q must be an absolute path", m.Destination, m.Source)
		}
		if err := m.finish(); err != nil {
			return fmt.Errorf("mount %s: %w", m.Destination, err)
		}
		if m.Type == "glob" {
			continue // its matches are tested when they are known
		}
		if seen[m.Destination] {
			return fmt.Errorf("%s: duplicate mount destination", m.Destination)
		}
		seen[m.Destination] = true
	}
	switch s.ImageVolume {
	case "", "anonymous", "bind", "tmpfs", "ignore":
	default:
		return fmt.Errorf("invalid --image-volume %q: it must be anonymous, tmpfs or ignore", s.ImageVolume)
	}
	for _, v := range s.VolumesFrom {
		name, opts, _ := strings.Cut(v, ":")
		if name == "" || hasControl(name) {
			return fmt.Errorf("invalid --volumes-from %q: it must be CONTAINER[:ro|rw|z]", v)
		}
		for o := range strings.SplitSeq(opts, ",") {
			if !slices.Contains([]string{"", "ro", "rw", "z"}, o) {
				return fmt.Errorf("invalid --volumes-from %q: unknown option %q", v, o)
			}
		}
	}
	return nil
}

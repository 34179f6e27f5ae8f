package libpod

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/capability"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/nested"
	"github.com/rootless-pod/pod/pkg/cdi"
	"github.com/rootless-pod/pod/pkg/hook"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ownmount"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// initInside is where --init finds the init program in the container.
const initInside = "/run/podman-init"

// ociSpec computes the OCI specification of a container that is mounted.
func (e *Engine) ociSpec(ctx context.Context, c *state.Container, l *launch) (*rspec.Spec, error) {
	f, err := e.facts(ctx, c, l)
	if err != nil {
		return nil, err
	}
	description := &c.Spec
	if description.Pause() {
		bare := c.Spec
		bare.Storage.Mounts = nil
		description = &bare
	}
	spec, err := description.ToOCI(f)
	if err != nil {
		return nil, err
	}
	if err := e.addDevices(c, spec); err != nil {
		return nil, err
	}
	if spec, err = hook.Add(ctx, e.HooksDirs, spec, hasBinds(c.Spec.Storage.Mounts)); err != nil {
		return nil, err
	}
	c.Run.Poststop = hook.Poststop(spec)
	if err := checkTargets(l.root, spec.Mounts); err != nil {
		return nil, err
	}
	if err := e.addSecretEnv(c, spec.Process); err != nil {
		return nil, err
	}
	if l.notify {
		spec.Process.Env = mergeEnv(spec.Process.Env, []string{"NOTIFY_SOCKET=/run/notify/notify.sock"})
	}
	spec.Process.Env = mergeEnv(spec.Process.Env, e.socketEnv(c))
	return spec, e.addSeccomp(ctx, &c.Spec, spec, l.runtime)
}

// hasBinds says whether the user mounts a directory of the host.
func hasBinds(mounts []specgen.Mount) bool {
	return slices.ContainsFunc(mounts, func(m specgen.Mount) bool { return m.Type == "bind" })
}

// addDevices adds the devices that CDI specifications describe.
func (e *Engine) addDevices(c *state.Container, spec *rspec.Spec) error {
	names := c.Spec.Security.CDI
	if len(names) == 0 {
		return nil
	}
	bind := e.Session.Rootless || len(spec.Linux.UIDMappings) > 0
	return cdi.Load(e.CDISpecDirs).Apply(spec, names, bind)
}

// findDevices checks that all CDI devices exist, and says which --gpus means.
func (e *Engine) findDevices(s *specgen.Security) error {
	if len(s.CDI) == 0 && len(s.GPUs) == 0 {
		return nil
	}
	known := cdi.Load(e.CDISpecDirs)
	if len(s.GPUs) > 0 {
		names, err := known.GPUs(s.GPUs)
		if err != nil {
			return err
		}
		s.CDI, s.GPUs = append(s.CDI, names...), nil
	}
	return known.Check(s.CDI)
}

// facts gathers what the conversion must know of the host.
func (e *Engine) facts(ctx context.Context, c *state.Container, l *launch) (specgen.Facts, error) {
	var none specgen.Facts
	s := &c.Spec
	maps, err := e.mapsOf(ctx, c)
	if err != nil {
		return none, err
	}
	who, err := resolveUser(l.root, s.Process.User, namedGroups(s.Process.Groups))
	if err != nil {
		return none, err
	}
	conf := &e.Config.Containers
	if l.visible = l.root; hidesOwner(maps) {
		if l.visible, err = ownmount.Reachable(c.ID, l.root); err != nil {
			return none, err
		}
	}
	f := specgen.Facts{
		ID: c.ID, RootfsPath: l.visible, Rootless: e.Session.Rootless,
		UIDMap: maps.uid, GIDMap: maps.gid,
		Env: conf.Env.Get(), UID: who.uid, GID: who.gid, Groups: who.groups, Home: who.home,
		DefaultCapabilities: conf.DefaultCapabilities.Get(), Bounding: bounding(),
		DefaultUlimits: conf.DefaultUlimits.Get(), MaxUlimits: hardLimits(),
		NetNS: l.netns, Hostname: e.hostname(c),
		Binds: l.binds, Volumes: map[string]string{}, MountSources: l.sources, VolumeFlags: l.volumeFlags, InitPath: initInside,
		SingleID: e.Session.SingleID, OOMScoreAdj: oomScore(), NoMqueue: missing("/dev/mqueue"),
	}
	// A name that was asked for is tried all the same, and the refusal explained.
	if (s.Network.Hostname == "" || s.IsInfra) && nested.HostnameRefused() {
		f.HostnameRefused = true
		e.Warn("the container keeps the name of this one, in which pod is: its seccomp filter lets nobody set another; start that one with --security-opt seccomp=unconfined")
	}
	e.addLimits(&f, c)
	for _, m := range s.Storage.Mounts {
		if m.Type == "volume" {
			f.Volumes[m.Source] = e.volumeDir(m.Source)
		}
	}
	for _, space := range []struct {
		name, mode string
		path       *string
	}{{"pid", s.Spaces.PID, &f.PIDNS}, {"ipc", s.Spaces.IPC, &f.IPCNS}, {"uts", s.Spaces.UTS, &f.UTSNS}, {"cgroup", s.Spaces.Cgroup, &f.CgroupNS}} {
		if *space.path, err = e.spacePath(ctx, space.name, space.mode); err != nil {
			return none, err
		}
	}
	if len(maps.uid) > 0 || strings.HasPrefix(s.Spaces.User, "ns:") {
		if f.UserNS, err = e.spacePath(ctx, "user", s.Spaces.User); err != nil {
			return none, err
		}
	}
	if f.Overlays, err = e.overlays(ctx, c, maps); err != nil {
		return none, err
	}
	switch {
	case s.Security.Privileged:
		f.HostDevices = hostDevices("/dev")
		if s.SystemdMode() {
			f.HostDevices = slices.DeleteFunc(f.HostDevices, isConsole)
		}
	case !e.Session.Rootless:
		for _, wish := range s.Security.Devices {
			device, err := specgen.ParseDevice(wish)
			if err != nil {
				return none, err
			}
			f.HostDevices = append(f.HostDevices, hostDevices(device.Host)...)
		}
	}
	return f, nil
}

// hidesOwner says whether the container's user namespace lacks the owner of pod's
// own directories, so that its first process cannot pass them.
func hidesOwner(maps idMaps) bool {
	has := func(list []rspec.LinuxIDMapping) bool {
		return slices.ContainsFunc(list, func(m rspec.LinuxIDMapping) bool { return m.HostID == 0 && m.Size > 0 })
	}
	return len(maps.uid) > 0 && (!has(maps.uid) || !has(maps.gid))
}

// addLimits adds what the limits of a container depend on.
func (e *Engine) addLimits(f *specgen.Facts, c *state.Container) {
	plan := e.cgroupPlan()
	f.DefaultPidsLimit, f.Controllers, f.CgroupV2 = e.Config.Containers.PidsLimit, plan.controllers, plan.v2
	f.CgroupsPath, f.NoSwapLimit, f.NoIOWeight = e.cgroupsPath(c), plan.noSwapLimit(), plan.noIOWeight()
	f.BlockDevices = blockDevices(c.Spec.Resources.BlockDevices())
}

// oomScore is pod's own oom_score_adj, below which no container can go.
func oomScore() int {
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0
	}
	return score
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return err != nil
}

// namedGroups drops keep-groups, which is no group but a wish.
func namedGroups(groups []string) []string {
	var named []string
	for _, g := range groups {
		if g != "keep-groups" {
			named = append(named, g)
		}
	}
	return named
}

// spacePath is the file of the namespace that a mode means; empty for modes that
// need none.
func (e *Engine) spacePath(ctx context.Context, name, mode string) (string, error) {
	kind, arg, _ := strings.Cut(mode, ":")
	switch kind {
	case "ns":
		if _, err := os.Stat(arg); err != nil {
			return "", fmt.Errorf("namespace %s: %w", mode, err)
		}
		return arg, nil
	case "container":
		target, err := e.running(ctx, arg, "join the "+name+" namespace of")
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("/proc/%d/ns/%s", target.Run.Init.PID, name), nil
	}
	return "", nil
}

// running looks up a container that must run.
func (e *Engine) running(ctx context.Context, nameOrID, verb string) (*state.Container, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	if status := e.status(c); status != StatusRunning && status != StatusPaused {
		return nil, improper(verb, c.ID, c.Name, status, "start it first")
	}
	return c, nil
}

func (e *Engine) hostname(c *state.Container) string {
	switch {
	case c.Spec.Network.Hostname != "":
		return c.Spec.Network.Hostname
	case c.Spec.Spaces.UTS == "host":
		name, _ := os.Hostname()
		return name
	}
	return short(c.ID)
}

// bounding lists the capabilities of this process's bounding set.
func bounding() []string {
	caps, err := capability.NewPid2(0)
	if err != nil || caps.Load() != nil {
		return nil
	}
	var names []string
	for _, c := range capability.ListKnown() {
		if caps.Get(capability.BOUNDING, c) {
			names = append(names, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	return names
}

// hardLimits are the most a container's ulimits can be, by the name OCI uses.
func hardLimits() map[string]uint64 {
	resources := map[string]int{
		"RLIMIT_AS": unix.RLIMIT_AS, "RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_CPU": unix.RLIMIT_CPU,
		"RLIMIT_DATA": unix.RLIMIT_DATA, "RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_LOCKS": unix.RLIMIT_LOCKS,
		"RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK, "RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_NICE": unix.RLIMIT_NICE,
		"RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_NPROC": unix.RLIMIT_NPROC, "RLIMIT_RSS": unix.RLIMIT_RSS,
		"RLIMIT_RTPRIO": unix.RLIMIT_RTPRIO, "RLIMIT_RTTIME": unix.RLIMIT_RTTIME,
		"RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING, "RLIMIT_STACK": unix.RLIMIT_STACK,
	}
	limits := make(map[string]uint64, len(resources))
	for name, resource := range resources {
		var limit unix.Rlimit
		// Prlimit, since Go raises its own soft limit of files at start.
		if unix.Prlimit(0, resource, nil, &limit) == nil {
			limits[name] = limit.Max
		}
	}
	return limits
}

// isConsole says whether a device is one of the host's virtual consoles, on which
// a systemd in a container would start its own logins.
func isConsole(d rspec.LinuxDevice) bool {
	n, ok := strings.CutPrefix(d.Path, "/dev/tty")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

// hostDevices lists the device nodes below dir, for --privileged. Terminals,
// shared memory and message queues are the container's own.
func hostDevices(dir string) []rspec.LinuxDevice {
	var devices []rspec.LinuxDevice
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be read is left out
		}
		if d.IsDir() {
			switch d.Name() {
			case "pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev":
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeDevice == 0 || d.Name() == "console" {
			return nil
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) != nil {
			return nil //nolint:nilerr // it went away
		}
		kind := "b"
		if st.Mode&unix.S_IFMT == unix.S_IFCHR {
			kind = "c"
		}
		mode, uid, gid := os.FileMode(st.Mode&0o7777), st.Uid, st.Gid
		devices = append(devices, rspec.LinuxDevice{
			Path: path, Type: kind, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
			FileMode: &mode, UID: &uid, GID: &gid,
		})
		return nil
	})
	return devices
}

package libpod

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/pkg/checkpoint"
	"github.com/rootless-pod/pod/pkg/health"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/network/bridge"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/storage"
)

// inspection is what Inspect gathers; what it shows follows from it alone.
type inspection struct {
	c      *state.Container
	status Status
	exit   *state.Exit
	// spec is the OCI specification of the run, or what it would be.
	spec *rspec.Spec
	// dir is the container's run directory; files are its files that exist.
	dir   string
	files map[string]string
	// dependencies and execs are ids; joined is the container whose network it
	// has.
	dependencies, execs []string
	// mode is the network mode; ports those that are published.
	mode  string
	netns string
	// connections are the networks that a container has now.
	connections []bridge.Connection
	networkIDs  map[string]string
	ports       []specgen.PortMapping
	// published are those of a container that runs.
	published []Published
	runtime   string
	logPath   string
	maps      idMaps
	plan      cgroupPlan
	driver    InspectDriver
	// volumes is where volumes are; defaultCaps, pidsLimit and stopTimeout are
	// configured.
	volumes     func(name string) string
	defaultCaps []string
	pidsLimit   int64
	stopTimeout uint
	// conmonPIDFile has the pid of conmon.
	conmonPIDFile string
	hostname      string
	static        string
	// podCgroup is the parent of its cgroup, if that is its pod's.
	podCgroup string
	health    *health.Results
	// checkpoint is the directory of one, restoreLog CRIU's of this run.
	checkpoint, restoreLog string
	checkpointed           time.Time
}

// Inspect tells all about a container; with size also what it takes on disk.
func (e *Engine) Inspect(ctx context.Context, nameOrID string, size bool) (*InspectContainer, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	in, err := e.gather(ctx, c)
	if err != nil {
		return nil, err
	}
	out := in.container()
	if size && c.Spec.Layered() {
		list := []ListContainer{{ID: c.ID, ImageID: c.ImageID}}
		if err := e.addSizes(ctx, list); err != nil {
			return nil, err
		}
		out.SizeRw, out.SizeRootFs = &list[0].Size.RwSize, &list[0].Size.RootFsSize
	}
	return out, nil
}

// gather asks record, kernel, configuration and store.
func (e *Engine) gather(ctx context.Context, c *state.Container) (*inspection, error) {
	in := &inspection{
		c: c, status: e.status(c), exit: e.exit(c), dir: e.paths.container(c.ID), plan: e.cgroupPlan(),
		volumes: e.volumeDir, defaultCaps: e.Config.Containers.DefaultCapabilities.Get(),
		pidsLimit: e.Config.Containers.PidsLimit, stopTimeout: e.Config.Engine.StopTimeout, conmonPIDFile: e.MonitorPIDFile(c), hostname: e.hostname(c),
		runtime: filepath.Base(c.Spec.Runtime), files: map[string]string{},
	}
	if isLive(in.status) {
		in.spec = readBundle(in.dir)
	}
	if in.spec == nil {
		in.spec = e.restingSpec(c)
	}
	for _, name := range []string{"resolv.conf", "hostname", "hosts", "config.json", "pidfile"} {
		path := filepath.Join(in.dir, name)
		if _, err := os.Lstat(path); err == nil {
			in.files[name] = path
		}
	}
	if inPodCgroup(c) {
		in.podCgroup = strings.TrimPrefix(e.podCgroup(c.Spec.Pod, &c.Spec.Resources), "/")
	}
	var err error
	if in.dependencies, err = e.dependencies(ctx, c); err != nil {
		return nil, err
	}
	execs, err := e.Execs(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	in.execs = []string{}
	for _, s := range execs {
		in.execs = append(in.execs, s.ID)
	}
	if in.mode, err = e.networkMode(ctx, c); err != nil {
		return nil, err
	}
	if in.ports = publishedPorts(c); isLive(in.status) {
		if in.published, err = e.Ports(ctx, c); err != nil {
			in.published = nil // the container whose network it has is gone
		}
		in.ports = nil
		for _, p := range in.published {
			in.ports = append(in.ports, p.PortMapping)
		}
		if result, ok := NetworkOf(c); ok {
			in.connections = result.Connections
			if result.NetNS != "host" {
				in.netns = result.NetNS
			}
		}
	}
	in.networkIDs = e.networkIDs(c)
	if err := e.gatherCheckpoint(in); err != nil {
		return nil, err
	}
	if c.Spec.Health.Defined() {
		st, err := e.health(c)
		if err != nil {
			return nil, err
		}
		in.health = &st.Results
	}
	in.logPath = e.LogPath(c)
	spec := c.Spec // a copy: the maps may fill the user in
	if in.maps, err = e.mapsOf(ctx, &state.Container{ID: c.ID, Spec: spec}); err != nil {
		in.maps = idMaps{} // what was possible at its creation is not any more
	}
	return in, e.gatherStorage(ctx, in)
}

// gatherCheckpoint looks for the files of a checkpoint.
func (e *Engine) gatherCheckpoint(in *inspection) error {
	dir, err := e.checkpointDir(in.c.ID)
	if err != nil {
		return err
	}
	if info, err := os.Stat(filepath.Join(dir, checkpoint.Images, "inventory.img")); err == nil {
		in.checkpoint, in.checkpointed = dir, info.ModTime()
	}
	// The specification is written anew for each run, and before CRIU's log.
	log, err := os.Stat(filepath.Join(in.dir, "restore.log"))
	spec, specErr := os.Stat(filepath.Join(in.dir, "config.json"))
	if err == nil && specErr == nil && !log.ModTime().Before(spec.ModTime()) {
		in.restoreLog = filepath.Join(in.dir, "restore.log")
	}
	return nil
}

// gatherStorage asks the store. A container whose layers are gone still has a
// record to show.
func (e *Engine) gatherStorage(ctx context.Context, in *inspection) error {
	in.driver.Data = map[string]string{}
	store, err := e.Storage()
	if err != nil {
		return err
	}
	in.driver.Name, in.static = store.Driver(), store.ContainerDir(in.c.ID)
	if !in.c.Spec.Layered() {
		return nil
	}
	data, err := store.DriverData(ctx, in.c.ID)
	if err != nil && !errors.Is(err, storage.ErrNoContainer) {
		return err
	}
	if data != nil {
		in.driver.Data = data
	}
	return nil
}

// readBundle reads the specification a container runs by; nil if there is none.
func readBundle(dir string) *rspec.Spec {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil
	}
	var spec rspec.Spec
	if json.Unmarshal(data, &spec) != nil || spec.Process == nil || spec.Linux == nil {
		return nil
	}
	return &spec
}

// restingSpec is what the specification of a container that does not run would
// be, as far as that follows from the description. What only a start can find
// out, or refuse, is left out.
func (e *Engine) restingSpec(c *state.Container) *rspec.Spec {
	spec := c.Spec
	spec.Spaces, spec.Resources = specgen.Spaces{}, specgen.Resources{}
	spec.Process.OOMScoreAdj = nil
	spec.Security.Devices, spec.Security.DeviceCgroupRules, spec.Security.Sysctl = nil, nil, nil
	f := specgen.Facts{
		ID: c.ID, RootfsPath: "/", Rootless: e.Session.Rootless, Env: e.Config.Containers.Env.Get(), Hostname: e.hostname(c),
		DefaultCapabilities: e.Config.Containers.DefaultCapabilities.Get(), Bounding: bounding(),
		DefaultUlimits: e.Config.Containers.DefaultUlimits.Get(), MaxUlimits: hardLimits(), InitPath: initInside,
		Volumes: map[string]string{}, MountSources: map[string]string{},
	}
	for _, m := range spec.Storage.Mounts {
		f.Volumes[m.Source] = e.volumeDir(m.Source)
		if _, own := m.Split(); own.Overlay || m.SubPath != "" || m.Type == "image" {
			f.MountSources[m.Destination] = m.Source
		}
	}
	name, _, _ := strings.Cut(spec.Process.User, ":")
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		f.UID = uint32(id)
	} else if name != "" && name != "root" {
		f.UID = 65534 // somebody, but not root: that is what capabilities depend on
	}
	oci, err := spec.ToOCI(f)
	if err != nil {
		return &rspec.Spec{Process: &rspec.Process{Env: spec.Process.Env, Cwd: spec.Process.WorkDir}, Linux: &rspec.Linux{}}
	}
	return oci
}

// container shows what was gathered.
func (in *inspection) container() *InspectContainer {
	c, s := in.c, &in.c.Spec
	command := commandLine(c)
	out := &InspectContainer{
		ID: c.ID, Created: c.Created, Args: []string{}, State: in.state(), Image: c.ImageID, ImageDigest: c.ImageDigest,
		ImageName: c.ImageName, Rootfs: s.Rootfs, Pod: s.Pod, IsInfra: s.IsInfra, ResolvConfPath: in.files["resolv.conf"], HostnamePath: in.files["hostname"],
		HostsPath: in.files["hosts"], StaticDir: in.static, OCIConfigPath: in.files["config.json"], OCIRuntime: in.runtime,
		ConmonPidFile: in.conmonPIDFile, PidFile: s.PIDFile, Name: c.Name, RestartCount: c.Restarts, Driver: in.driver.Name,
		MountLabel: in.spec.Linux.MountLabel, ProcessLabel: in.spec.Process.SelinuxLabel,
		AppArmorProfile: in.spec.Process.ApparmorProfile, EffectiveCaps: []string{}, BoundingCaps: []string{},
		ExecIDs: in.execs, GraphDriver: in.driver, Mounts: in.mounts(), Dependencies: in.dependencies,
		NetworkSettings: in.network(),
		Config:          in.config(), HostConfig: in.host(), UseImageHosts: s.Network.NoHosts, UseImageHostname: s.Network.NoHostname,
	}
	if len(command) > 0 {
		out.Path, out.Args = command[0], append(out.Args, command[1:]...)
	}
	if out.PidFile == "" {
		out.PidFile = in.files["pidfile"]
	}
	if caps := in.spec.Process.Capabilities; caps != nil {
		out.EffectiveCaps = append(out.EffectiveCaps, caps.Effective...)
		out.BoundingCaps = append(out.BoundingCaps, caps.Bounding...)
	}
	return out
}

func (in *inspection) state() InspectState {
	st := InspectState{
		Health: in.health, OciVersion: in.spec.Version, Status: in.status, Paused: in.status == StatusPaused,
		Running: in.status == StatusRunning || in.status == StatusStopping,
	}
	if in.checkpoint != "" {
		st.Checkpointed, st.CheckpointedAt = !isLive(in.status), in.checkpointed
		st.CheckpointPath, st.CheckpointLog = filepath.Join(in.checkpoint, checkpoint.Images), filepath.Join(in.checkpoint, "dump.log")
	}
	if run := in.c.Run; run != nil && isLive(in.status) {
		st.Pid, st.ConmonPid, st.StartedAt, st.CgroupPath = run.Init.PID, run.Conmon.PID, run.StartedAt, run.Cgroup
		st.StoppedByUser = run.Stopping
		if in.restoreLog != "" {
			st.Restored, st.RestoredAt, st.RestoreLog = true, run.StartedAt, in.restoreLog
		}
	}
	if x := in.exit; x != nil {
		st.FinishedAt = x.FinishedAt
		if !isLive(in.status) {
			st.StartedAt, st.ExitCode, st.OOMKilled, st.Error, st.StoppedByUser = x.StartedAt, x.Code, x.OOMKilled, x.Error, x.Stopped
		}
	}
	return st
}

// mounts shows binds and volumes; tmpfs are in HostConfig.Tmpfs.
func (in *inspection) mounts() []InspectMount {
	mounts := []InspectMount{}
	for _, m := range in.c.Spec.Storage.Mounts {
		if m.Type == "tmpfs" {
			continue
		}
		_, own := m.Split()
		show := InspectMount{
			Type: m.Type, Source: m.Source, Destination: m.Destination, Mode: own.Relabel, Options: []string{},
			RW: !m.ReadOnly(), Propagation: "rprivate", SubPath: m.SubPath,
		}
		if m.Type == "volume" {
			show.Name, show.Driver, show.Source = m.Source, orLocal(m.Driver), in.volumes(m.Source)
		}
		for _, o := range in.options(m) {
			switch o {
			case "rw", "ro":
			case "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable":
				show.Propagation = o
			default:
				show.Options = append(show.Options, o)
			}
		}
		mounts = append(mounts, show)
	}
	return mounts
}

// options are those the runtime gets for a mount of the user's.
func (in *inspection) options(m specgen.Mount) []string {
	for _, oci := range in.spec.Mounts {
		if oci.Destination == filepath.Clean(m.Destination) {
			return oci.Options
		}
	}
	kernel, _ := m.Split()
	return kernel
}

// openPorts are published and exposed ports, by "80/tcp".
func (in *inspection) openPorts() map[string][]InspectPort {
	open := portBindings(in.ports)
	for _, p := range in.published {
		key := strconv.Itoa(int(p.ContainerPort)) + "/" + p.Protocol
		for i := range open[key] {
			if open[key][i].HostPort == strconv.Itoa(int(p.HostPort)) {
				open[key][i].SourceKept = &p.KeepsSource
			}
		}
	}
	for port, protocols := range exposedPorts(in.c) {
		for _, protocol := range protocols {
			key := strconv.Itoa(int(port)) + "/" + protocol
			if _, ok := open[key]; !ok {
				open[key] = nil
			}
		}
	}
	return open
}

func portBindings(ports []specgen.PortMapping) map[string][]InspectPort {
	bindings := map[string][]InspectPort{}
	for _, p := range singlePorts(ports) {
		key := strconv.Itoa(int(p.ContainerPort)) + "/" + p.Protocol
		host := InspectPort{HostIP: p.HostIP, HostPort: strconv.Itoa(int(p.HostPort))}
		if host.HostIP == "" {
			host.HostIP = "0.0.0.0"
		}
		bindings[key] = append(bindings[key], host)
	}
	return bindings
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

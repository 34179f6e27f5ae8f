package cdi

import (
	"fmt"
	"os"
	"slices"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	specs "tags.cncf.io/container-device-interface/specs-go"
)

// Apply puts devices into a specification. With bind the host's device nodes are
// bound, for containers that may not make any.
func (r *Registry) Apply(spec *rspec.Spec, names []string, bind bool) error {
	if err := r.Check(names); err != nil {
		return err
	}
	var edits []*specs.ContainerEdits
	var seen []*specs.Spec
	for _, name := range names {
		d := r.devices[name]
		if !slices.Contains(seen, d.spec) {
			seen = append(seen, d.spec)
			edits = append(edits, &d.spec.ContainerEdits)
		}
		edits = append(edits, d.edits)
	}
	if spec.Linux == nil {
		spec.Linux = &rspec.Linux{}
	}
	for _, e := range edits {
		if err := apply(spec, e, bind); err != nil {
			return fmt.Errorf("CDI devices %s: %w", strings.Join(names, ", "), err)
		}
	}
	// Parents come before what lies in them.
	slices.SortStableFunc(spec.Mounts, func(a, b rspec.Mount) int {
		return strings.Count(strings.TrimRight(a.Destination, "/"), "/") - strings.Count(strings.TrimRight(b.Destination, "/"), "/")
	})
	return nil
}

func apply(spec *rspec.Spec, e *specs.ContainerEdits, bind bool) error {
	for _, d := range e.DeviceNodes {
		if err := addNode(spec, *d, bind); err != nil {
			return err
		}
	}
	for _, m := range e.Mounts {
		kind := m.Type
		if kind == "" {
			kind = "bind"
		}
		addMount(spec, rspec.Mount{Source: m.HostPath, Destination: m.ContainerPath, Type: kind, Options: m.Options})
	}
	addHooks(spec, e.Hooks)
	if t := e.IntelRdt; t != nil {
		spec.Linux.IntelRdt = &rspec.LinuxIntelRdt{
			ClosID: t.ClosID, L3CacheSchema: t.L3CacheSchema, MemBwSchema: t.MemBwSchema,
			Schemata: t.Schemata, EnableMonitoring: t.EnableMonitoring,
		}
	}
	for _, n := range e.NetDevices {
		if spec.Linux.NetDevices == nil {
			spec.Linux.NetDevices = map[string]rspec.LinuxNetDevice{}
		}
		spec.Linux.NetDevices[n.HostInterfaceName] = rspec.LinuxNetDevice{Name: n.Name}
	}
	if spec.Process == nil {
		return nil
	}
	for _, env := range e.Env {
		name, _, _ := strings.Cut(env, "=")
		spec.Process.Env = slices.DeleteFunc(spec.Process.Env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		spec.Process.Env = append(spec.Process.Env, env)
	}
	for _, gid := range e.AdditionalGIDs {
		if gid != 0 && !slices.Contains(spec.Process.User.AdditionalGids, gid) {
			spec.Process.User.AdditionalGids = append(spec.Process.User.AdditionalGids, gid)
		}
	}
	return nil
}

// addNode adds a device node, or binds the host's.
func addNode(spec *rspec.Spec, d specs.DeviceNode, bind bool) error {
	if d.HostPath == "" {
		d.HostPath = d.Path
	}
	var st unix.Stat_t
	err := unix.Stat(d.HostPath, &st)
	if err != nil && (bind || d.Type == "" || d.Major == 0 && d.Type != "p") {
		return fmt.Errorf("device node %s of the host: %w", d.HostPath, err)
	}
	kind := map[uint32]string{unix.S_IFBLK: "b", unix.S_IFCHR: "c", unix.S_IFIFO: "p"}[st.Mode&unix.S_IFMT]
	if err == nil && (kind == "" || d.Type != "" && d.Type != kind && (d.Type != "u" || kind != "c")) {
		return fmt.Errorf("%s of the host is no device node of type %q", d.HostPath, d.Type)
	}
	if bind {
		access := "rw"
		if d.Permissions != "" && !strings.Contains(d.Permissions, "w") {
			access = "ro"
		}
		addMount(spec, rspec.Mount{
			Source: d.HostPath, Destination: d.Path, Type: "bind",
			Options: []string{"rprivate", "nosuid", "noexec", access, "rbind"},
		})
		return nil
	}
	if d.Type == "" {
		d.Type = kind
	}
	if d.Major == 0 && d.Type != "p" {
		d.Major, d.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	}
	if d.FileMode == nil && err == nil {
		mode := os.FileMode(st.Mode & 0o7777)
		d.FileMode = &mode
	}
	spec.Linux.Devices = slices.DeleteFunc(spec.Linux.Devices, func(old rspec.LinuxDevice) bool { return old.Path == d.Path })
	spec.Linux.Devices = append(spec.Linux.Devices, rspec.LinuxDevice{
		Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor, FileMode: d.FileMode, UID: d.UID, GID: d.GID,
	})
	if d.Type == "p" || spec.Linux.Resources == nil {
		return nil // without resources no device cgroup refuses anything
	}
	access := d.Permissions
	if access == "" {
		access = "rwm"
	}
	spec.Linux.Resources.Devices = append(spec.Linux.Resources.Devices, rspec.LinuxDeviceCgroup{
		Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: access,
	})
	return nil
}

// addMount adds a mount in the place of what else would be there.
func addMount(spec *rspec.Spec, m rspec.Mount) {
	spec.Mounts = slices.DeleteFunc(spec.Mounts, func(old rspec.Mount) bool { return old.Destination == m.Destination })
	spec.Mounts = append(spec.Mounts, m)
}

// stages are the names of hooks.
func stages() []string {
	return []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}
}

func addHooks(spec *rspec.Spec, hooks []*specs.Hook) {
	if len(hooks) > 0 && spec.Hooks == nil {
		spec.Hooks = &rspec.Hooks{}
	}
	for _, h := range hooks {
		hook := rspec.Hook{Path: h.Path, Args: h.Args, Env: h.Env, Timeout: h.Timeout}
		list := &spec.Hooks.Prestart //nolint:staticcheck // deprecated, but specifications have it
		switch h.HookName {
		case "createRuntime":
			list = &spec.Hooks.CreateRuntime
		case "createContainer":
			list = &spec.Hooks.CreateContainer
		case "startContainer":
			list = &spec.Hooks.StartContainer
		case "poststart":
			list = &spec.Hooks.Poststart
		case "poststop":
			list = &spec.Hooks.Poststop
		}
		*list = append(*list, hook)
	}
}

package specgen

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// defaultShmSize is that of /dev/shm.
const defaultShmSize = 64 << 20

// ociMounts lists all mounts, parents before what lies in them. A mount of the
// user's replaces a default one at the same place.
func (c *Container) ociMounts(f *Facts) ([]rspec.Mount, error) {
	own, err := c.userMounts(f)
	if err != nil {
		return nil, err
	}
	devices, err := c.deviceMounts(f)
	if err != nil {
		return nil, err
	}
	taken := make(map[string]bool, len(own))
	var hidden []string // places whose default inner mounts the user's bind hides
	for _, m := range own {
		if taken[m.Destination] {
			return nil, fmt.Errorf("duplicate mount destination %s", m.Destination)
		}
		taken[m.Destination] = true
		if m.Type == "bind" && slices.Contains([]string{"/dev", "/proc", "/sys"}, m.Destination) {
			hidden = append(hidden, m.Destination)
		}
	}
	mounts := slices.Concat(c.kernelMounts(f), devices)
	mounts = slices.DeleteFunc(mounts, func(m rspec.Mount) bool {
		return slices.ContainsFunc(hidden, func(dir string) bool { return isBelow(m.Destination, dir) })
	})
	all := slices.Grow(own, len(f.Binds)+len(mounts)+3)
	for _, m := range slices.Concat(f.Binds, c.chrootBinds(f.Binds), c.scratchMounts(), mounts) {
		m.Destination = path.Clean(m.Destination)
		if !taken[m.Destination] {
			taken[m.Destination] = true
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b rspec.Mount) int {
		if d := strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/"); d != 0 {
			return d
		}
		return strings.Compare(a.Destination, b.Destination)
	})
	return all, nil
}

// chrootBinds repeat pod's own files of /etc in the directories of --chrootdirs.
func (c *Container) chrootBinds(binds []rspec.Mount) []rspec.Mount {
	var more []rspec.Mount
	for _, dir := range c.Storage.ChrootDirs {
		for _, b := range binds {
			if strings.HasPrefix(b.Destination, "/etc/") {
				b.Destination = path.Join(dir, b.Destination)
				more = append(more, b)
			}
		}
	}
	return more
}

// kernelMounts are the kernel's file systems.
func (c *Container) kernelMounts(f *Facts) []rspec.Mount {
	dev := []string{"nosuid", "strictatime", "mode=755", "size=65536k"}
	if !c.writableTmpfs() {
		dev = append(dev, "ro")
	}
	pts := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if f.isMapped(f.GIDMap, 5) {
		pts = append(pts, "gid=5")
	}
	mounts := []rspec.Mount{
		c.procMount(f),
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: dev},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: pts},
		c.sysMount(f),
		c.cgroupMount(),
	}
	if !f.NoMqueue || !f.bindsMqueue(c) {
		mounts = append(mounts, c.mqueueMount(f))
	}
	if shm, ok := c.shmMount(); ok {
		mounts = append(mounts, shm)
	}
	return mounts
}

// procMount is the host's /proc for the host's processes: only who owns the pid
// namespace may mount its own.
func (c *Container) procMount(f *Facts) rspec.Mount {
	if f.inUserNS() && isShared(c.Spaces.PID) {
		opts := append([]string{"rprivate", "nosuid", "noexec", "nodev", "rbind"}, c.Security.ProcOpts...)
		return rspec.Mount{Destination: "/proc", Type: "bind", Source: "/proc", Options: opts}
	}
	opts := append([]string{"nosuid", "noexec", "nodev"}, c.Security.ProcOpts...)
	return rspec.Mount{Destination: "/proc", Type: "proc", Source: "proc", Options: opts}
}

// bindsMqueue: only who owns the IPC namespace may mount its message queues.
func (f *Facts) bindsMqueue(c *Container) bool { return f.inUserNS() && isShared(c.Spaces.IPC) }

func (c *Container) mqueueMount(f *Facts) rspec.Mount {
	opts := []string{"nosuid", "noexec", "nodev"}
	if f.bindsMqueue(c) {
		return rspec.Mount{Destination: "/dev/mqueue", Type: "bind", Source: "/dev/mqueue", Options: append(opts, "bind")}
	}
	return rspec.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: opts}
}

// ownsSysfs reports whether the container may mount a sysfs: the kernel wants
// CAP_SYS_ADMIN over the network namespace for it.
func (f *Facts) ownsSysfs() bool {
	switch {
	case f.NetNS == "host":
		return !f.inUserNS()
	case f.NetNS != "":
		return !f.ownUserNS() // pod's namespace made it, not the container's
	}
	return true
}

func (c *Container) sysMount(f *Facts) rspec.Mount {
	access := "ro"
	if c.Security.Privileged {
		access = "rw"
	}
	if f.ownsSysfs() {
		return rspec.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}}
	}
	return rspec.Mount{
		Destination: "/sys", Type: "bind", Source: "/sys",
		Options: []string{"rprivate", "nosuid", "noexec", "nodev", access, "rbind"},
	}
}

func (c *Container) cgroupMount() rspec.Mount {
	access := "ro"
	if (c.Security.Privileged || c.SystemdMode()) && !isShared(c.Spaces.Cgroup) {
		access = "rw"
	}
	return rspec.Mount{
		Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
		Options: []string{"rprivate", "nosuid", "noexec", "nodev", "relatime", access},
	}
}

// shmMount is used unless pod made one of its own, to be shared (Facts.Binds).
func (c *Container) shmMount() (rspec.Mount, bool) {
	opts := []string{"nosuid", "noexec", "nodev"}
	if !c.writableTmpfs() {
		opts = append(opts, "ro")
	}
	if isShared(c.Spaces.IPC) {
		return rspec.Mount{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm", Options: append(opts, "rprivate", "rbind")}, true
	}
	size := c.Resources.ShmSize
	if size == 0 {
		size = defaultShmSize
	}
	opts = append(opts, "mode=1777", "size="+strconv.FormatInt(size, 10))
	return rspec.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: opts}, c.Spaces.IPC != "none"
}

// writableTmpfs reports whether temporary places stay writable.
func (c *Container) writableTmpfs() bool {
	return !c.Security.ReadOnly || c.Security.ReadOnlyTmpfs == nil || *c.Security.ReadOnlyTmpfs
}

// scratchMounts are the writable places of a read-only container.
func (c *Container) scratchMounts() []rspec.Mount {
	mounts := c.systemdMounts()
	if !c.Security.ReadOnly || !c.writableTmpfs() {
		return mounts
	}
	for _, dst := range []string{"/run", "/tmp", "/var/tmp"} {
		if slices.ContainsFunc(mounts, func(m rspec.Mount) bool { return m.Destination == dst }) {
			continue
		}
		mounts = append(mounts, rspec.Mount{
			Destination: dst, Type: "tmpfs", Source: "tmpfs",
			Options: []string{"rw", "rprivate", "nosuid", "nodev", "tmpcopyup"},
		})
	}
	return mounts
}

// systemdMounts are the places systemd wants to be empty and writable.
func (c *Container) systemdMounts() []rspec.Mount {
	if !c.SystemdMode() {
		return nil
	}
	var mounts []rspec.Mount
	for _, dst := range []string{"/run", "/run/lock", "/tmp", "/var/log/journal"} {
		opts := []string{"rw", "rprivate", "nosuid", "nodev", "tmpcopyup"}
		if size := c.Resources.ShmSizeSystemd; size > 0 {
			opts = append(opts, "size="+strconv.FormatInt(size, 10))
		}
		mounts = append(mounts, rspec.Mount{Destination: dst, Type: "tmpfs", Source: "tmpfs", Options: opts})
	}
	return mounts
}

func (c *Container) userMounts(f *Facts) ([]rspec.Mount, error) {
	mounts := make([]rspec.Mount, 0, len(c.Storage.Mounts))
	for _, m := range c.Storage.Mounts {
		oci, err := m.toOCI(f)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Destination, err)
		}
		mounts = append(mounts, oci)
	}
	return mounts, nil
}

func (m Mount) toOCI(f *Facts) (rspec.Mount, error) {
	opts, own := m.Split()
	dst := path.Clean(m.Destination)
	switch m.Type {
	case "ramfs":
		opts = slices.DeleteFunc(addDefaults(opts, "tmpcopyup"), func(o string) bool {
			return o == "tmpcopyup" || o == "notmpcopyup" // runtimes copy into a tmpfs only
		})
		return rspec.Mount{Destination: dst, Type: "ramfs", Source: "ramfs", Options: opts}, nil
	case "tmpfs":
		opts = addDefaults(opts, "tmpcopyup")
		opts = slices.DeleteFunc(opts, func(o string) bool { return o == "notmpcopyup" })
		return rspec.Mount{Destination: dst, Type: "tmpfs", Source: "tmpfs", Options: opts}, nil
	case "devpts":
		opts = append([]string{"nosuid", "noexec", "newinstance", "ptmxmode=0666"}, opts...)
		return rspec.Mount{Destination: dst, Type: "devpts", Source: "devpts", Options: opts}, nil
	}
	if m.Type == "scratch" {
		if len(f.Overlays[m.Destination]) == 0 {
			return rspec.Mount{}, fmt.Errorf("%s has no layers", m.Source)
		}
		return rspec.Mount{Destination: dst, Type: "overlay", Source: "overlay", Options: f.Overlays[m.Destination]}, nil
	}
	source, resolved := f.MountSources[m.Destination]
	if !resolved && (own.Overlay || m.SubPath != "" || m.Type == "image") {
		return rspec.Mount{}, fmt.Errorf("%s %q is not mounted", m.Type, m.Source)
	}
	if !resolved {
		source = m.Source
		if m.Type == "volume" {
			source = f.Volumes[m.Source]
		}
	}
	if !path.IsAbs(source) {
		return rspec.Mount{}, fmt.Errorf("%s %q has no directory on the host", m.Type, m.Source)
	}
	if m.Type == "volume" {
		opts = restrict(opts, f.VolumeFlags[m.Source])
	}
	opts = addDefaults(opts, "rbind")
	if m.Type == "image" && !m.Writable() && !own.Overlay {
		opts = append(opts, "ro")
	}
	if isBelow(path.Clean(source), "/dev") && !slices.Contains(m.Options, "nodev") {
		// Who binds devices wants to use them.
		opts = slices.DeleteFunc(opts, func(o string) bool { return o == "nodev" })
	}
	out := rspec.Mount{Destination: dst, Type: "bind", Source: source, Options: opts}
	if !own.Idmap {
		return out, nil
	}
	// Without mappings of the mount's own, the runtime takes those of the
	// container's user namespace (runtime-spec, mount option idmap).
	out.Options = append(out.Options, "idmap")
	if own.IdmapOf == "" {
		return out, nil
	}
	uids, gids, err := parseMountIdmap(own.IdmapOf)
	if err != nil {
		return out, err
	}
	if out.UIDMappings, err = mountIDs(uids, f.UIDMap); err != nil {
		return out, err
	}
	out.GIDMappings, err = mountIDs(gids, f.GIDMap)
	return out, err
}

// restrict adds flags that hold whatever the options say.
func restrict(opts, flags []string) []string {
	against := map[string]string{"ro": "rw", "noexec": "exec", "nosuid": "suid", "nodev": "dev"}
	for _, flag := range flags {
		opts = slices.DeleteFunc(opts, func(o string) bool { return o == flag || o == against[flag] })
		opts = append(opts, flag)
	}
	return opts
}

// addDefaults adds the options of every mount of the user's, each unless one of
// its group is there, and last the given one.
func addDefaults(opts []string, last string) []string {
	for _, d := range []struct {
		option string
		group  []string
	}{
		{"nosuid", []string{"suid", "nosuid"}},
		{"nodev", []string{"dev", "nodev"}},
		{"rprivate", []string{"private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"}},
		{last, []string{"bind", "rbind", "tmpcopyup", "notmpcopyup"}},
	} {
		if !slices.ContainsFunc(opts, func(o string) bool { return slices.Contains(d.group, o) }) {
			opts = append(opts, d.option)
		}
	}
	return opts
}

// rootfsPropagation lets mounts that are to be shared be so: they can share no
// more than the root they lie in.
func rootfsPropagation(mounts []rspec.Mount) string {
	propagation := ""
	for _, m := range mounts {
		for _, o := range m.Options {
			switch o {
			case "shared", "rshared":
				return "shared"
			case "slave", "rslave":
				propagation = "rslave"
			}
		}
	}
	return propagation
}

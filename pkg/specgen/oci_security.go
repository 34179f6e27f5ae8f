package specgen

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// capabilities gives root the bounding set; a user other than root gets only
// what was asked for, as ambient capabilities. The inheritable set is empty but
// for those: capabilities there would come back on exec of a file with
// inheritable file capabilities (CVE-2022-27649), and the kernel lets a
// capability be ambient only while it is inheritable (capabilities(7)).
func (c *Container) capabilities(f *Facts) (*rspec.LinuxCapabilities, error) {
	add, err := normalizeCaps(c.Security.CapAdd)
	if err != nil {
		return nil, err
	}
	bounding, err := c.boundingSet(f, add)
	if err != nil {
		return nil, err
	}
	caps := &rspec.LinuxCapabilities{Bounding: bounding}
	if f.UID == 0 {
		caps.Effective, caps.Permitted = bounding, bounding
		return caps, nil
	}
	var ambient []string
	for _, name := range bounding {
		if slices.Contains(add, name) || slices.Contains(add, "ALL") {
			ambient = append(ambient, name)
		}
	}
	caps.Effective, caps.Permitted, caps.Ambient, caps.Inheritable = ambient, ambient, ambient, ambient
	return caps, nil
}

// boundingSet is the sorted list of capabilities a container may ever have.
func (c *Container) boundingSet(f *Facts, add []string) ([]string, error) {
	drop, err := normalizeCaps(c.Security.CapDrop)
	if err != nil {
		return nil, err
	}
	var set []string
	switch {
	case c.Security.Privileged, slices.Contains(add, "ALL"):
		set = slices.Clone(f.Bounding)
	case slices.Contains(drop, "ALL"):
	default:
		for _, name := range f.DefaultCapabilities {
			if slices.Contains(f.Bounding, name) { // a default pod does not hold itself is left out
				set = append(set, name)
			}
		}
	}
	if !c.Security.Privileged {
		set = slices.DeleteFunc(set, func(name string) bool { return slices.Contains(drop, name) })
	}
	for _, name := range add {
		if name == "ALL" {
			continue
		}
		if !slices.Contains(f.Bounding, name) {
			return nil, fmt.Errorf("--cap-add %s: pod itself does not hold this capability, so it cannot give it", name)
		}
		set = append(set, name)
	}
	slices.Sort(set)
	return slices.Compact(set), nil
}

// normalizeCaps gives names the CAP_ prefix in capitals.
func normalizeCaps(names []string) ([]string, error) {
	out := make([]string, 0, len(names))
	for _, n := range names {
		name := strings.ToUpper(n)
		if name == "ALL" {
			out = append(out, name)
			continue
		}
		name = "CAP_" + strings.TrimPrefix(name, "CAP_")
		if !isCapability(name) {
			return nil, fmt.Errorf("unknown capability %q", n)
		}
		out = append(out, name)
	}
	return out, nil
}

func isCapability(name string) bool {
	switch strings.TrimPrefix(name, "CAP_") {
	case "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
		"DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
		"LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE",
		"NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN",
		"SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
		"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM":
		return true
	}
	return false
}

// hiddenPaths are the masked and the read-only paths.
func (c *Container) hiddenPaths(f *Facts) (masked, readonly []string) {
	all := slices.Concat([]string{
		"/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/dev/block", "/sys/devices/virtual/powercap",
		"/sys/firmware", "/sys/fs/selinux",
	}, f.MaskedPaths)
	if !f.ownsSysfs() && f.Rootless {
		all = append(all, "/sys/kernel") // it is the host's /sys
	}
	masked = c.unmask(all)
	masked = append(masked, c.Security.Mask...)
	readonly = c.unmask([]string{
		"/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
	})
	return masked, readonly
}

// unmask leaves out what the user's patterns match.
func (c *Container) unmask(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		return slices.ContainsFunc(c.Security.Unmask, func(pattern string) bool {
			if pattern == "ALL" {
				return true
			}
			ok, err := path.Match(path.Clean(pattern), p)
			return err == nil && ok
		})
	})
}

// rlimits are the limits of the process. Without a word of the user's the
// number of files and of processes is as large as pod may make it, as in the
// field; a default is clamped to what pod may give, a wish is not.
func (c *Container) rlimits(f *Facts) ([]rspec.POSIXRlimit, error) {
	limits := map[string]Ulimit{}
	for _, d := range []struct {
		name string
		most uint64
	}{{"RLIMIT_NOFILE", 1 << 20}, {"RLIMIT_NPROC", 1 << 22}} {
		if hard, ok := f.MaxUlimits[d.name]; ok && !slices.Contains(c.Security.Ulimits, "host") {
			limits[d.name] = Ulimit{Soft: min(hard, d.most), Hard: min(hard, d.most)}
		}
	}
	for _, s := range f.DefaultUlimits {
		u, err := ParseUlimit(s)
		if err != nil {
			return nil, fmt.Errorf("containers.conf: default_ulimits: %w", err)
		}
		if hard, ok := f.MaxUlimits[u.oci()]; ok {
			u.Soft, u.Hard = min(u.Soft, hard), min(u.Hard, hard)
		}
		if !slices.Contains(c.Security.Ulimits, "host") {
			limits[u.oci()] = u
		}
	}
	for _, s := range c.Security.Ulimits {
		if s == "host" {
			continue
		}
		u, err := ParseUlimit(s)
		if err != nil {
			return nil, err
		}
		if hard, ok := f.MaxUlimits[u.oci()]; ok && u.Hard > hard && !f.mayRaiseLimits() {
			return nil, fmt.Errorf("--ulimit %s: the hard limit is %s for you: ask for no more, or raise it in /etc/security/limits.d", s, limitString(hard))
		}
		limits[u.oci()] = u
	}
	out := make([]rspec.POSIXRlimit, 0, len(limits))
	for name, u := range limits {
		out = append(out, rspec.POSIXRlimit{Type: name, Soft: u.Soft, Hard: u.Hard})
	}
	slices.SortFunc(out, func(a, b rspec.POSIXRlimit) int { return strings.Compare(a.Type, b.Type) })
	return out, nil
}

func (u Ulimit) oci() string { return "RLIMIT_" + strings.ToUpper(u.Name) }

func (f *Facts) mayRaiseLimits() bool {
	return !f.Rootless && slices.Contains(f.Bounding, "CAP_SYS_RESOURCE")
}

func limitString(n uint64) string {
	if n == math.MaxUint64 {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

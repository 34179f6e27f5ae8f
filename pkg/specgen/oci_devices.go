package specgen

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// deviceMounts are the devices of a container without real root: it may not
// make nodes, so the host's are bound.
func (c *Container) deviceMounts(f *Facts) ([]rspec.Mount, error) {
	if !f.inUserNS() {
		return nil, nil
	}
	var mounts []rspec.Mount
	if c.Security.Privileged {
		for _, d := range f.HostDevices {
			if !isStandardDevice(d.Path) {
				mounts = append(mounts, bindDevice(d.Path, d.Path, "rw"))
			}
		}
	}
	for _, s := range c.Security.Devices {
		d, err := ParseDevice(s)
		if err != nil {
			return nil, err
		}
		access := "ro"
		if strings.Contains(d.Access, "w") {
			access = "rw"
		}
		// Of two at one place the first in the list is taken: the user's last.
		mounts = slices.Insert(mounts, 0, bindDevice(d.Host, d.Container, access))
	}
	return mounts, nil
}

func bindDevice(host, container, access string) rspec.Mount {
	return rspec.Mount{
		Destination: container, Type: "bind", Source: host,
		Options: []string{"rprivate", "nosuid", "noexec", access, "rbind"},
	}
}

// isStandardDevice reports whether the runtime makes the device by itself.
func isStandardDevice(p string) bool {
	switch p {
	case "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx":
		return true
	}
	return false
}

// ociDevices sets the device nodes of a container of root's, and the rules of
// its device cgroup.
func (c *Container) ociDevices(f *Facts, spec *rspec.Spec) error {
	if f.Rootless {
		if len(c.Security.DeviceCgroupRules) > 0 {
			return errors.New("--device-cgroup-rule needs root: without it there is no device cgroup")
		}
		return nil
	}
	nodes, rules, err := c.deviceNodes(f)
	if err != nil {
		return err
	}
	for _, s := range c.Security.DeviceCgroupRules {
		rule, err := parseDeviceRule(s)
		if err != nil {
			return err
		}
		rules = append(rules, rule)
	}
	if len(f.UIDMap) == 0 {
		spec.Linux.Devices = nodes
	}
	if f.CgroupsPath == "" {
		return nil
	}
	if spec.Linux.Resources == nil {
		spec.Linux.Resources = &rspec.LinuxResources{}
	}
	// The runtime allows the standard devices by itself.
	base := rspec.LinuxDeviceCgroup{Allow: c.Security.Privileged, Access: "rwm"}
	spec.Linux.Resources.Devices = append([]rspec.LinuxDeviceCgroup{base}, rules...)
	return nil
}

// deviceNodes are the nodes to make and the rules that allow their use.
func (c *Container) deviceNodes(f *Facts) ([]rspec.LinuxDevice, []rspec.LinuxDeviceCgroup, error) {
	var nodes []rspec.LinuxDevice
	var rules []rspec.LinuxDeviceCgroup
	if c.Security.Privileged {
		for _, d := range f.HostDevices {
			if !isStandardDevice(d.Path) {
				nodes = append(nodes, d)
			}
		}
	}
	for _, s := range c.Security.Devices {
		want, err := ParseDevice(s)
		if err != nil {
			return nil, nil, err
		}
		found := false
		for _, d := range f.HostDevices {
			if !isBelow(d.Path, want.Host) { // a directory means all devices in it
				continue
			}
			found = true
			rules = append(rules, rspec.LinuxDeviceCgroup{
				Allow: true, Type: d.Type, Major: &d.Major, Minor: &d.Minor, Access: want.Access,
			})
			d.Path = path.Join(want.Container, strings.TrimPrefix(d.Path, want.Host))
			nodes = slices.DeleteFunc(nodes, func(n rspec.LinuxDevice) bool { return n.Path == d.Path })
			nodes = append(nodes, d)
		}
		if !found {
			return nil, nil, fmt.Errorf("--device %s: there is no device at %s on the host", s, want.Host)
		}
	}
	return nodes, rules, nil
}

// parseDeviceRule reads TYPE MAJOR:MINOR ACCESS, as in "c 81:* rmw".
func parseDeviceRule(s string) (rspec.LinuxDeviceCgroup, error) {
	invalid := fmt.Errorf("invalid device cgroup rule %q: it must be \"a|b|c MAJOR:MINOR rwm\"", s)
	fields := strings.Fields(s)
	if len(fields) != 3 || !slices.Contains([]string{"a", "b", "c"}, fields[0]) || !isAccess(fields[2]) {
		return rspec.LinuxDeviceCgroup{}, invalid
	}
	rule := rspec.LinuxDeviceCgroup{Allow: true, Type: fields[0], Access: fields[2]}
	major, minor, ok := strings.Cut(fields[1], ":")
	if !ok {
		return rspec.LinuxDeviceCgroup{}, invalid
	}
	for _, n := range []struct {
		text string
		to   **int64
	}{{major, &rule.Major}, {minor, &rule.Minor}} {
		if n.text == "*" {
			continue
		}
		v, err := strconv.ParseInt(n.text, 10, 32)
		if err != nil || v < 0 {
			return rspec.LinuxDeviceCgroup{}, invalid
		}
		*n.to = &v
	}
	return rule, nil
}

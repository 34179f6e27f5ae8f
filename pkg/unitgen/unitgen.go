// Package unitgen writes the systemd units of `pod generate systemd`: services that
// start a container or a pod that exists, or that make it anew each time from
// the command line that made it first. It computes text only; who is asked for
// what the store knows of a container, and who writes files, is its caller.
package unitgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options are the user's wishes.
type Options struct {
	// New makes units that create, and remove, what they run.
	New bool
	// Names calls units and containers by name instead of by id.
	Names    bool
	NoHeader bool
	// Template makes a unit of which systemd starts instances (NAME@.service); it
	// means New.
	Template bool
	// Restart is systemd's policy; empty is on-failure, or what the container's
	// own policy says.
	Restart string
	// RestartSec and StartTimeout in seconds; 0 leaves systemd's default.
	RestartSec, StartTimeout uint
	// StopTimeout in seconds; nil is the container's.
	StopTimeout *uint
	// Wants, After and Requires are units that containers depend on.
	Wants, After, Requires []string
	// Env are variables of the units: NAME=VALUE, or NAME of this process's.
	Env []string

	ContainerPrefix, PodPrefix, Separator string
}

// Host is what units are made of besides options and containers.
type Host struct {
	// Program is pod's path with the global flags that lead to the store.
	Program []string
	// RunRoot must be mounted before a unit starts.
	RunRoot string
	// Network is the unit that waits until the network is up.
	Network string
	Version string
	Now     time.Time
	// Environ looks a variable of the caller up, and All lists them as NAME=VALUE.
	Environ func(name string) (string, bool)
	All     []string
	// Flags tells of the options of pod's commands.
	Flags Flags
}

// Container is one that gets a unit.
type Container struct {
	ID, Name string
	// Command made it: argument 0, global flags, run or create, options, image.
	Command []string
	// PIDFile receives the pid of its monitor.
	PIDFile string
	// StopTimeout in seconds is its own.
	StopTimeout uint
	// InitCtr says that it is an init container, which gets no unit.
	InitCtr bool
	// Needs are the ids of containers that are started before it.
	Needs []string
}

// Pod is a pod with the containers that get units, all but its infra container.
type Pod struct {
	ID, Name string
	Command  []string
	// Infra is nil for a pod that has no infra container.
	Infra      *Container
	Containers []Container
}

// Unit is one file.
type Unit struct {
	// Name is without the suffix .service.
	Name string
	Text string
	// Private are the variables of the caller's environment whose values are
	// in it.
	Private []string
}

// Check refuses options that no unit can be made of.
func (o *Options) Check() error {
	if o.Restart != "" && !slices.Contains(Policies(), o.Restart) {
		return fmt.Errorf("%s is not a valid restart policy: it is one of %s", o.Restart, strings.Join(Policies(), ", "))
	}
	for flag, value := range map[string]string{"container-prefix": o.ContainerPrefix, "pod-prefix": o.PodPrefix, "separator": o.Separator} {
		if strings.TrimFunc(value, inUnitName) != "" {
			return fmt.Errorf("--%s %q cannot be in the name of a unit: use letters, digits and :-_.\\", flag, value)
		}
	}
	for flag, list := range map[string][]string{"wants": o.Wants, "after": o.After, "requires": o.Requires} {
		for _, unit := range list {
			if unit == "" || strings.ContainsAny(unit, "\n\r\x00") {
				return fmt.Errorf("--%s %q is no name of a unit", flag, unit)
			}
		}
	}
	for _, pair := range o.Env {
		if name, _, _ := strings.Cut(pair, "="); name == "" || strings.ContainsAny(pair, "\x00") {
			return fmt.Errorf("--env %q: write NAME=VALUE, or NAME for the value it has here", pair)
		}
	}
	return nil
}

// Policies are the values of systemd's Restart=.
func Policies() []string {
	return []string{"no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"}
}

// inUnitName says which characters systemd allows in names of units.
func inUnitName(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`:-_.\`, r)
}

func (o *Options) containerUnit(c *Container) string {
	return joined(o.ContainerPrefix, o.Separator, o.called(c.ID, c.Name))
}

func (o *Options) called(id, name string) string {
	if o.Names {
		return name
	}
	return id
}

// joined leaves the separator out if there is nothing before it.
func joined(prefix, separator, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + separator + name
}

// ForContainer makes the unit of one container.
func ForContainer(c *Container, o *Options, h *Host) (Unit, error) {
	return container(c, nil, nil, o, h)
}

// ForPod makes the units of a pod, its own first, then those of its containers, each
// after those it needs.
func ForPod(p *Pod, o *Options, h *Host) ([]Unit, error) {
	if o.Template {
		return nil, errors.New("--template is not supported for pods: make templates of its containers")
	}
	if p.Infra == nil {
		return nil, fmt.Errorf("generating systemd unit files: Pod %q has no infra container: make it without --infra=false", p.Name)
	}
	name := joined(o.PodPrefix, o.Separator, o.called(p.ID, p.Name))
	names := make(map[string]string, len(p.Containers)) // units by the ids of containers
	for i := range p.Containers {
		names[p.Containers[i].ID] = o.containerUnit(&p.Containers[i])
	}
	ordered := inOrder(p.Containers)
	services := make([]string, len(ordered))
	for i, c := range ordered {
		services[i] = names[c.ID] + ".service"
	}
	unit, err := podUnit(p, name, services, o, h)
	if err != nil {
		return nil, err
	}
	units := []Unit{unit}
	for _, c := range ordered {
		unit, err := container(c, &member{unit: name, id: p.ID}, names, o, h)
		if err != nil {
			return nil, err
		}
		units = append(units, unit)
	}
	return units, nil
}

// inOrder puts containers after those they need.
func inOrder(list []Container) []*Container {
	ordered, done := make([]*Container, 0, len(list)), map[string]bool{}
	var add func(c *Container)
	add = func(c *Container) {
		if done[c.ID] {
			return
		}
		done[c.ID] = true
		for i := range list {
			if slices.Contains(c.Needs, list[i].ID) {
				add(&list[i])
			}
		}
		ordered = append(ordered, c)
	}
	for i := range list {
		add(&list[i])
	}
	return ordered
}

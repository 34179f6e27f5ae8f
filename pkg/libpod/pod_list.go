package libpod

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/timeparse"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/pods"
)

// PodInfo is a pod with its containers, as a reader sees them.
type PodInfo struct {
	*state.Pod
	Status  string
	Members []*state.Container
	// Cgroup is the parent of the pod's cgroup, CgroupPath that cgroup.
	Cgroup, CgroupPath string
	// Networks are those of its infra container.
	Networks []string
}

// Pods lists the pods that match every key of the filters, oldest first. It takes
// no lock and changes nothing.
func (e *Engine) Pods(ctx context.Context, filters []string) ([]*PodInfo, error) {
	match, err := e.podMatcher(filters)
	if err != nil {
		return nil, err
	}
	all, err := e.state.Pods(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	members, err := e.state.InPods(ctx)
	if err != nil {
		return nil, err
	}
	var list []*PodInfo
	for _, p := range all {
		info := e.podInfo(p, members[p.ID])
		if match(info) {
			list = append(list, info)
		}
	}
	return list, nil
}

func (e *Engine) podInfo(p *state.Pod, members []*state.Container) *PodInfo {
	info := &PodInfo{Pod: p, Members: members, Status: e.podStatus(p, members), Cgroup: p.Spec.Resources.CgroupParent}
	if info.Cgroup == "" && e.cgroupPlan().manager == "systemd" {
		info.Cgroup = e.sliceOf(&p.Spec.Resources)
	}
	info.Networks = []string{}
	for _, c := range members {
		if c.Spec.IsInfra {
			info.Networks = networkNames(c)
		}
	}
	if p.Spec.ParentCgroup() {
		info.CgroupPath = strings.TrimPrefix(e.podCgroup(p.ID, &p.Spec.Resources), "/")
	}
	return info
}

// SortPods sorts pods by created, id, name, number or status.
func SortPods(list []*PodInfo, key string) error {
	var order func(a, b *PodInfo) int
	switch key {
	case "", "created": // the newest first, as in the field
		order = func(a, b *PodInfo) int { return b.Created.Compare(a.Created) }
	case "id":
		order = func(a, b *PodInfo) int { return cmp.Compare(a.ID, b.ID) }
	case "name":
		order = func(a, b *PodInfo) int { return cmp.Compare(a.Name, b.Name) }
	case "number":
		order = func(a, b *PodInfo) int { return cmp.Compare(len(a.Members), len(b.Members)) }
	case "status":
		order = func(a, b *PodInfo) int { return cmp.Compare(a.Status, b.Status) }
	default:
		return fmt.Errorf("invalid option for --sort, options are: created, id, name, number, or status: not %q", key)
	}
	slices.SortStableFunc(list, order)
	return nil
}

type podPredicate func(p *PodInfo) bool

// podMatcher compiles filters: of a key one value must match, of labels all.
func (e *Engine) podMatcher(filters []string) (podPredicate, error) {
	byKey := map[string][]podPredicate{}
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("invalid filter %q: write KEY=VALUE", f)
		}
		p, err := e.podFilter(strings.TrimSuffix(key, "!"), value)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(key, "!") {
			inner := p
			p = func(info *PodInfo) bool { return !inner(info) }
		}
		byKey[key] = append(byKey[key], p)
	}
	return func(info *PodInfo) bool {
		for key, alternatives := range byKey {
			want := func(p podPredicate) bool { return p(info) }
			if strings.HasPrefix(key, "label") {
				if slices.ContainsFunc(alternatives, func(p podPredicate) bool { return !p(info) }) {
					return false
				}
			} else if !slices.ContainsFunc(alternatives, want) {
				return false
			}
		}
		return true
	}, nil
}

func (e *Engine) podFilter(key, value string) (podPredicate, error) {
	anyMember := func(test func(c *state.Container) bool) podPredicate {
		return func(p *PodInfo) bool { return slices.ContainsFunc(p.Members, test) }
	}
	switch key {
	case "id":
		return func(p *PodInfo) bool { return strings.HasPrefix(p.ID, strings.ToLower(value)) }, nil
	case "name", "ctr-names":
		re, err := regexp.Compile(value)
		if err != nil {
			return nil, fmt.Errorf("filter %s=%s: %w", key, value, err)
		}
		if key == "name" {
			return func(p *PodInfo) bool { return re.MatchString(p.Name) }, nil
		}
		return anyMember(func(c *state.Container) bool { return re.MatchString(c.Name) }), nil
	case "ctr-ids":
		return anyMember(func(c *state.Container) bool { return strings.HasPrefix(c.ID, strings.ToLower(value)) }), nil
	case "ctr-number":
		n, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("filter ctr-number=%s: a number is wanted", value)
		}
		return func(p *PodInfo) bool { return len(p.Members) == n }, nil
	case "ctr-status":
		is, err := e.byStatus(value)
		if err != nil {
			return nil, fmt.Errorf("%s is not a valid status: %w", value, err)
		}
		return anyMember(is), nil
	case "label":
		name, want, valued := strings.Cut(value, "=")
		return func(p *PodInfo) bool {
			have, ok := p.Spec.Labels[name]
			return ok && (!valued || have == want)
		}, nil
	case "network":
		on := e.byNetwork(value)
		return anyMember(func(c *state.Container) bool { return c.Spec.IsInfra && on(c) }), nil
	case "status":
		i := slices.IndexFunc(pods.Statuses(), func(s string) bool { return strings.EqualFold(s, value) })
		if i < 0 {
			return nil, fmt.Errorf("%s is not a valid pod status: use created, degraded, exited, paused, running or stopped", value)
		}
		return func(p *PodInfo) bool { return strings.EqualFold(p.Status, value) }, nil
	case "until":
		at, err := timeparse.Parse(value, time.Now())
		if err != nil {
			return nil, err
		}
		return func(p *PodInfo) bool { return p.Created.Before(at) }, nil
	}
	return nil, fmt.Errorf("%s is an invalid filter: use ctr-ids, ctr-names, ctr-number, ctr-status, id, label, name, network, status or until", key)
}

// byPod selects the containers of pods by name or id, as they are now.
func (e *Engine) byPod(ctx context.Context, value string) (predicate, error) {
	all, err := e.state.Pods(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, p := range all {
		if p.Name == value || (value != "" && strings.HasPrefix(p.ID, value)) {
			ids[p.ID] = true
		}
	}
	return func(c *state.Container) bool { return ids[c.Spec.Pod] }, nil
}

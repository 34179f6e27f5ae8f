package libpod

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/cgrouplimit"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// A pod's cgroup, pods-ID, is below the same delegated scope as those of other
// containers, or below a scope of its own for the whole pod (pod-ID.scope) where
// a container would have one. Its containers' are below it. It has no process, so
// its limits are written by pod, before the first container starts.

// inPodCgroup says whether a container's cgroup is below that of its pod.
func inPodCgroup(c *state.Container) bool { return c.Spec.Pod != "" && c.Spec.PodCgroup }

// podCgroup is the cgroup of a pod; empty if there can be none.
func (e *Engine) podCgroup(id string, r *specgen.Resources) string {
	plan := e.cgroupPlan()
	name := "pods-" + id
	switch {
	case plan.manager == "":
		return ""
	case r.CgroupParent == "" && plan.shared != "":
		return filepath.Join(plan.shared, name)
	case plan.manager == "systemd":
		return filepath.Join(e.scopeCgroup(id, e.sliceOf(r)), name)
	case r.CgroupParent == "":
		return filepath.Join("/", plan.own, name)
	}
	return filepath.Join("/", r.CgroupParent, name)
}

// checkPodCgroup refuses limits that cannot be kept here, and parents that cannot
// be, before anything is made.
func (e *Engine) checkPodCgroup(spec *specgen.Pod) error {
	if _, err := e.podLimits("", spec); err != nil {
		return err
	}
	return e.checkCgroups(&state.Container{Spec: specgen.Container{Resources: specgen.Resources{CgroupParent: spec.Resources.CgroupParent}}})
}

// podLimits are the limits of the pod as a whole; nil for none.
func (e *Engine) podLimits(id string, spec *specgen.Pod) (*rspec.LinuxResources, error) {
	limits := spec.Resources
	limits.CgroupParent = ""
	c := &state.Container{Spec: specgen.Container{Pod: id, PodCgroup: true, Resources: limits}}
	f := specgen.Facts{}
	e.addLimits(&f, c)
	f.DefaultPidsLimit = 0 // that is a container's
	r, err := c.Spec.LinuxResources(&f)
	if err == nil && r != nil && !spec.ParentCgroup() {
		err = errors.New("limits of a pod need its cgroup to be the parent of its containers': leave --share-parent=false out, or limit the containers")
	}
	return r, err
}

// makePodCgroup makes the cgroup above that of a container which is about to start,
// if it has limits. Otherwise the runtime does.
func (e *Engine) makePodCgroup(ctx context.Context, c *state.Container) error {
	path := e.podCgroup(c.Spec.Pod, &c.Spec.Resources)
	if path == "" {
		return nil
	}
	p, err := e.state.Pod(ctx, c.Spec.Pod)
	if err != nil {
		return err
	}
	limits, err := e.podLimits(p.ID, &p.Spec)
	if err != nil || limits == nil {
		return err
	}
	return step.Do(ctx, "pod.cgroup", func() error { return cgrouplimit.Make(filepath.Join(cgroupRoot, path), limits) })
}

// dropPodCgroup removes the cgroup of a pod, unless a container is in it.
func (e *Engine) dropPodCgroup(p *state.Pod) {
	if path := e.podCgroup(p.ID, &p.Spec.Resources); path != "" && p.Spec.ParentCgroup() {
		_ = os.Remove(filepath.Join(cgroupRoot, path)) // not empty, or never made
	}
}

package libpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// CloneOptions say in what a clone differs from its original.
type CloneOptions struct {
	// Name of the clone; empty makes one of the original's.
	Name string
	// Image, as the user named it; empty is the original's.
	Image string
	// Pod is the pod of the clone; empty is the original's.
	Pod string
	// Resources over those of the original.
	Resources specgen.Resources
	// CreateCommand is the command line that made the clone.
	CreateCommand []string
}

// CloneSource describes a copy of a container: what the user had asked for, with
// opts over it. It is a description like any other, for Create.
func (e *Engine) CloneSource(ctx context.Context, nameOrID string, opts CloneOptions) (*state.Container, *specgen.Container, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return nil, nil, err
	}
	spec, err := copySpec(&c.Spec)
	if err != nil {
		return nil, nil, err
	}
	if c.Spec.IsInfra {
		return nil, nil, fmt.Errorf("container %s is the infra container of a pod: clone the pod with pod pod clone %s", c.Name, short(c.Spec.Pod))
	}
	ownLabels(c, spec)
	pod := spec.Pod
	if opts.Pod != "" {
		pod = opts.Pod
	}
	if err := e.outOfPod(ctx, spec); err != nil {
		return nil, nil, err
	}
	spec.Pod = pod
	spec.Name, spec.CreateCommand = opts.Name, opts.CreateCommand
	if spec.Name == "" {
		if spec.Name, err = e.CloneName(ctx, c.Name); err != nil {
			return nil, nil, err
		}
	}
	// These files belong to the original.
	spec.CIDFile, spec.PIDFile, spec.ConmonPIDFile, spec.Log.Path = "", "", "", ""
	spec.Storage.VolumesFrom = nil // their mounts are in the description
	// Its anonymous volumes are its own, the clone gets new ones.
	for i, m := range spec.Storage.Mounts {
		if m.Type == "volume" && slices.Contains(c.AnonymousVolumes, m.Source) {
			spec.Storage.Mounts[i].Source = ""
		}
	}
	spec.Resources.Merge(opts.Resources)
	if opts.Image != "" {
		if !c.Spec.Layered() {
			return nil, nil, fmt.Errorf("container %s runs on a directory: it has no image to replace", c.Name)
		}
		spec.Image = opts.Image
	}
	return c, spec, nil
}

// deepCopy copies a description by the form in which it is stored.
func deepCopy(spec *specgen.Container) (*specgen.Container, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("copy description: %w", err)
	}
	out := &specgen.Container{}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("copy description: %w", err)
	}
	return out, nil
}

// copySpec is deepCopy for another container.
func copySpec(spec *specgen.Container) (*specgen.Container, error) {
	out, err := deepCopy(spec)
	if err != nil {
		return nil, err
	}
	for i := range out.Network.Ports {
		if p := &out.Network.Ports[i]; p.Random {
			p.HostPort, p.Random = 0, false // the original has that one
		}
	}
	return out, nil
}

// CloneName is NAME-clone, with a number if that is taken.
func (e *Engine) CloneName(ctx context.Context, original string) (string, error) {
	for n := range 1000 {
		name := original + "-clone"
		if n > 0 {
			name += strconv.Itoa(n)
		}
		_, err := e.state.Lookup(ctx, name)
		if isAbsent(err) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("too many clones: choose a name with --name")
}

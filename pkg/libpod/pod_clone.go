package libpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// ClonePodOptions say in what a pod's clone differs from its original.
type ClonePodOptions struct {
	// Name of the clone; empty makes one of the original's.
	Name string
	// Change is made to the description before the pod is made of it.
	Change func(spec *specgen.Pod) error
	// Image finds the configuration of an image that a container was made of.
	Image func(ctx context.Context, id, name string) (specgen.ImageConfig, error)
	// CreateCommand is the command line that made the clone.
	CreateCommand []string
	// Start starts the clone, Destroy removes the original.
	Start, Destroy bool
}

// ClonePod makes a pod as another one, with clones of its containers. If that does
// not work nothing is left of it.
func (e *Engine) ClonePod(ctx context.Context, nameOrID string, opts ClonePodOptions) (*state.Pod, error) {
	original, err := e.settledPod(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	spec, err := e.clonePodSpec(ctx, original, opts)
	if err != nil {
		return nil, err
	}
	members, err := e.state.Members(ctx, original.ID)
	if err != nil {
		return nil, err
	}
	var img specgen.ImageConfig
	if spec.InfraImage != "" {
		infra, err := e.state.Get(ctx, original.InfraID)
		if err != nil {
			return nil, err
		}
		if img, err = opts.Image(ctx, infra.ImageID, infra.ImageName); err != nil {
			return nil, err
		}
	}
	p, err := e.CreatePod(ctx, spec, img)
	if err != nil {
		return nil, err
	}
	if err := e.cloneMembers(ctx, p, members, opts); err != nil {
		_, removeErr := e.RemovePod(context.WithoutCancel(ctx), p.ID, RemovePodOptions{Force: true})
		return nil, errors.Join(err, removeErr)
	}
	if opts.Destroy {
		if _, err := e.RemovePod(ctx, original.ID, RemovePodOptions{Force: true}); err != nil {
			return p, err
		}
	}
	if opts.Start {
		return e.StartPod(ctx, p.ID)
	}
	return p, nil
}

func (e *Engine) clonePodSpec(ctx context.Context, original *state.Pod, opts ClonePodOptions) (*specgen.Pod, error) {
	data, err := json.Marshal(&original.Spec)
	if err != nil {
		return nil, fmt.Errorf("copy description of pod: %w", err)
	}
	spec := &specgen.Pod{}
	if err := json.Unmarshal(data, spec); err != nil {
		return nil, fmt.Errorf("copy description of pod: %w", err)
	}
	spec.Name, spec.CreateCommand, spec.InfraConmonPIDFile = opts.Name, opts.CreateCommand, ""
	if spec.Name == "" {
		if spec.Name, err = e.PodCloneName(ctx, original.Name); err != nil {
			return nil, err
		}
	}
	if spec.InfraName != "" {
		if spec.InfraName, err = e.CloneName(ctx, spec.InfraName); err != nil {
			return nil, err
		}
	}
	if opts.Change != nil {
		err = opts.Change(spec)
	}
	return spec, err
}

// cloneMembers clones containers into a pod; where one names another of them it is
// the other's clone.
func (e *Engine) cloneMembers(ctx context.Context, p *state.Pod, members []*state.Container, opts ClonePodOptions) error {
	clones := map[string]string{}
	for _, c := range members {
		if c.Spec.IsInfra {
			continue
		}
		_, spec, err := e.CloneSource(ctx, c.ID, CloneOptions{Pod: p.ID, CreateCommand: opts.CreateCommand})
		if err != nil {
			return err
		}
		for _, mode := range modes(spec) {
			if id, ok := strings.CutPrefix(*mode, "container:"); ok && clones[id] != "" {
				*mode = "container:" + clones[id]
			}
		}
		for i, id := range spec.Requires {
			if clones[id] != "" {
				spec.Requires[i] = clones[id]
			}
		}
		var img specgen.ImageConfig
		if spec.Layered() {
			if img, err = opts.Image(ctx, c.ImageID, c.ImageName); err != nil {
				return err
			}
		}
		clone, err := e.Create(ctx, spec, img)
		if err != nil {
			return fmt.Errorf("clone container %s: %w", c.Name, err)
		}
		clones[c.ID] = clone.ID
	}
	return nil
}

// PodCloneName is NAME-clone, with a number if that is taken.
func (e *Engine) PodCloneName(ctx context.Context, original string) (string, error) {
	for n := range 1000 {
		name := original + "-clone"
		if n > 0 {
			name += strconv.Itoa(n)
		}
		_, err := e.state.LookupPod(ctx, name)
		if isNoPod(err) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("too many clones: choose a name with --name")
}

// outOfPod takes from a description what its pod gave it.
func (e *Engine) outOfPod(ctx context.Context, spec *specgen.Container) error {
	if spec.Pod == "" {
		return nil
	}
	p, err := e.state.Pod(ctx, spec.Pod)
	if err != nil {
		return err
	}
	var infra *specgen.Container
	if p.InfraID != "" {
		c, err := e.state.Get(ctx, p.InfraID)
		if err != nil {
			return err
		}
		infra = &c.Spec
	}
	p.Spec.Leave(spec, p.InfraID, infra)
	return nil
}

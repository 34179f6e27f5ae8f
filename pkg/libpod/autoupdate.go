package libpod

import (
	"fmt"
	"maps"

	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// wantedUpdate is what the labels of a description say of updates, before those of
// the image come to them; nil if they say nothing.
func (e *Engine) wantedUpdate(spec *specgen.Container) (*state.AutoUpdate, error) {
	value, ok := spec.Labels[policy.Label]
	if !ok {
		return nil, nil //nolint:nilnil // nothing is wanted
	}
	kind, err := policy.Parse(value)
	if kind == policy.Registry {
		if err := e.CheckUpdates(spec.Image); err != nil {
			return nil, err
		}
	}
	out := &state.AutoUpdate{Policy: value, Authfile: spec.Labels[policy.AuthfileLabel]}
	if err != nil || kind == policy.Disabled || e.Unit != "" {
		return out, nil //nolint:nilerr // the update says what is wrong with it, as in the field
	}
	asked, err := deepCopy(spec)
	if err != nil {
		return nil, err
	}
	out.Asked = asked
	return out, nil
}

// showUnit has the container's labels show its unit, as scripts of the field look
// for it. What an image says there is not shown.
func (e *Engine) showUnit(spec *specgen.Container, img specgen.ImageConfig) {
	if e.Unit == "" {
		if said, ok := img.Labels[policy.UnitName]; ok && spec.Labels[policy.UnitName] == said {
			delete(spec.Labels, policy.UnitName)
		}
		return
	}
	labels := maps.Clone(spec.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[policy.UnitName] = e.Unit
	spec.Labels = labels
}

// ownLabels drops from a copy of a container's description the labels on updates
// that its image has, and its unit: a container that is made of the copy would
// have them as the user's.
func ownLabels(c *state.Container, copied *specgen.Container) {
	var wanted state.AutoUpdate
	if c.AutoUpdate != nil {
		wanted = *c.AutoUpdate
	}
	policy.OwnLabels(copied.Labels, wanted.Policy, wanted.Authfile)
}

// updateAsked changes what a container is made anew of as the container itself is
// changed: u makes spec of its description.
func updateAsked(c *state.Container, u *specgen.Update, spec *specgen.Container) error {
	if c.AutoUpdate == nil || c.AutoUpdate.Asked == nil {
		return nil
	}
	asked, err := deepCopy(c.AutoUpdate.Asked)
	if err != nil {
		return err
	}
	change := *u
	change.Health = nil
	if err := asked.Update(&change); err != nil {
		return fmt.Errorf("update what container %s is made anew of: %w", c.Name, err)
	}
	if u.Health != nil {
		asked.Health = spec.Health // the image's checks are the user's now
	}
	wanted := *c.AutoUpdate
	wanted.Asked = asked
	c.AutoUpdate = &wanted
	return nil
}

package specgen

import (
	"slices"
	"strings"
)

// Update is what can be changed of a container that exists. What is zero stays
// as it is.
type Update struct {
	// Resources over those of the container.
	Resources Resources
	// Restart is a policy with its bound of retries.
	Restart        string
	RestartRetries uint
	// Env is NAME=VALUE; UnsetEnv names variables to drop before.
	Env, UnsetEnv []string
	// Ulimits over those of the same name.
	Ulimits []string
	// Health over that of the container; nil leaves it.
	Health *Health
	// Shape changes the network's.
	Shape ShapeChange
}

// Update changes c, or returns why what would be is no container; c is then
// undefined. It shares nothing that it changes with a copy of c.
func (c *Container) Update(u *Update) error {
	c.Resources.Merge(u.Resources)
	if u.Restart != "" {
		c.Restart, c.RestartRetries = u.Restart, u.RestartRetries
	}
	p := &c.Process
	if len(u.UnsetEnv) > 0 {
		unset := func(e string) bool {
			name, _, _ := strings.Cut(e, "=")
			return slices.Contains(u.UnsetEnv, name)
		}
		p.Env = slices.DeleteFunc(slices.Clone(p.Env), unset)
		p.UnsetEnv = slices.Concat(p.UnsetEnv, u.UnsetEnv)
		slices.Sort(p.UnsetEnv)
		p.UnsetEnv = slices.Compact(p.UnsetEnv)
	}
	if len(u.Env) > 0 {
		p.Env = mergeEnv(p.Env, u.Env)
	}
	for _, limit := range u.Ulimits {
		name, _, _ := strings.Cut(limit, "=")
		c.Security.Ulimits = append(slices.DeleteFunc(slices.Clone(c.Security.Ulimits), func(l string) bool {
			return strings.HasPrefix(l, name+"=")
		}), limit)
	}
	c.Network.Shape = u.Shape.Over(c.Network.Shape)
	if u.Health != nil {
		if err := u.Health.Validate(); err != nil {
			return err
		}
		if err := c.Health.Change(u.Health); err != nil {
			return err
		}
	}
	return c.Validate()
}

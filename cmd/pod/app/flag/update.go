package flag

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// UpdateOptions is what the flags of update say besides the changes.
type UpdateOptions struct {
	// Latest means the container made last.
	Latest bool

	fs     *pflag.FlagSet
	env    []string
	health *HealthOptions
	change specgen.Health
}

// Update registers the flags of update; parsing them fills u.
func Update(fs *pflag.FlagSet, u *specgen.Update) *UpdateOptions {
	o := &UpdateOptions{fs: fs}
	Latest(fs, &o.Latest)
	UpdateLimits(fs, &u.Resources)
	fs.StringArrayVarP(&o.env, "env", "e", nil, "Set environment variables in container, from its next start on")
	fs.StringArrayVar(&u.UnsetEnv, "unsetenv", nil, "Unset environment default variables in container, from its next start on")
	parsed(fs, "restart", "", "Restart policy to apply when a container exits: no, always, unless-stopped, on-failure[:MAX]", func(s string) (err error) {
		u.Restart, u.RestartRetries, err = specgen.ParseRestart(s)
		return err
	})
	eachInList(fs, "ulimit", "", "Ulimit options, from the next start on: NAME=SOFT[:HARD]", func(s string) error {
		_, err := specgen.ParseUlimit(s)
		u.Ulimits = append(u.Ulimits, s)
		return err
	})
	Shape(fs, "network-", &u.Shape)
	o.health = Health(fs, &o.change)
	return o
}

// Finish completes u after parsing.
func (o *UpdateOptions) Finish(u *specgen.Update, host Host) error {
	changes, health, startup := 0, false, false
	o.fs.Visit(func(f *pflag.Flag) {
		switch {
		case f.Name == "latest":
			return
		case strings.HasPrefix(f.Name, "health-startup-"):
			health, startup = true, true
		case strings.HasPrefix(f.Name, "health-") || f.Name == "no-healthcheck":
			health = true
		}
		changes++
	})
	if changes == 0 {
		return errors.New("no updates requested: name what to change, as --memory or --restart")
	}
	for _, name := range u.UnsetEnv {
		if name == "" || strings.Contains(name, "=") {
			return errors.New("--unsetenv takes the name of a variable")
		}
	}
	var err error
	if u.Env, err = Env(o.env, nil, host); err != nil || !health {
		return err
	}
	if err := o.health.Finish(&o.change); err != nil {
		return err
	}
	if startup && o.change.Startup == nil {
		o.change.Startup = &o.health.startup
	}
	u.Health = &o.change
	return nil
}

package flag

import (
	"errors"
	"time"

	"github.com/spf13/pflag"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// HealthOptions are the flags of a health check that are not in its description
// until all are known.
type HealthOptions struct {
	fs      *pflag.FlagSet
	none    bool
	startup specgen.StartupCheck
	retries uint
	count   uint
	size    uint
}

// Health registers the flags of the health check, of create, run and update.
// Finish completes h after parsing.
func Health(fs *pflag.FlagSet, h *specgen.Health) *HealthOptions {
	o := &HealthOptions{fs: fs}
	parsed(fs, "health-cmd", "", "Set a healthcheck command for the container ('none' disables the existing healthcheck)", func(s string) (err error) {
		if s != "" {
			h.Test, err = specgen.ParseHealthCmd(s)
		}
		return err
	})
	parsed(fs, "health-interval", "30s", "Set an interval for the healthcheck ('disable': none is made by itself)", func(s string) (err error) {
		h.Interval, err = specgen.ParseHealthInterval(s)
		return err
	})
	parsed(fs, "health-log-destination", specgen.HealthLogLocal, "Where the log of the healthcheck goes: local, events_logger or a directory", func(s string) error {
		h.LogDestination = s
		return nil
	})
	fs.UintVar(&o.count, "health-max-log-count", 5, "Maximum number of attempts in the healthcheck log file ('0' means an infinite number)")
	fs.UintVar(&o.size, "health-max-log-size", 500, "Maximum length in characters of stored healthcheck log ('0' means an infinite length)")
	parsed(fs, "health-on-failure", specgen.OnFailureNone, "Action to take once the container turns unhealthy: none, kill, restart or stop", func(s string) (err error) {
		h.OnFailure, err = specgen.ParseHealthOnFailure(s)
		return err
	})
	fs.UintVar(&o.retries, "health-retries", 3, "Number of retries allowed before a healthcheck is considered to be unhealthy")
	parsed(fs, "health-start-period", "0s", "Initialization time needed for a container to bootstrap", func(s string) (err error) {
		h.StartPeriod, err = specgen.ParseHealthStartPeriod(s)
		return err
	})
	parsed(fs, "health-startup-cmd", "", "Set a startup healthcheck command for the container", func(s string) (err error) {
		if s != "" {
			o.startup.Test, err = specgen.ParseHealthCmd(s)
		}
		return err
	})
	parsed(fs, "health-startup-interval", "30s", "Set an interval for the startup healthcheck", func(s string) (err error) {
		o.startup.Interval, err = specgen.ParseHealthInterval(s)
		return err
	})
	fs.UintVar(&o.startup.Retries, "health-startup-retries", 0, "Maximum number of failures before the startup healthcheck restarts the container ('0': never)")
	fs.UintVar(&o.startup.Successes, "health-startup-success", 0, "Number of consecutive successes before the startup healthcheck ends and the regular one begins")
	duration := func(to *time.Duration) func(string) error {
		return func(s string) (err error) {
			*to, err = specgen.ParseHealthTimeout(s)
			return err
		}
	}
	parsed(fs, "health-startup-timeout", "30s", "Maximum time the startup healthcheck may take", duration(&o.startup.Timeout))
	parsed(fs, "health-timeout", "30s", "Maximum time the healthcheck may take", duration(&h.Timeout))
	fs.BoolVar(&o.none, "no-healthcheck", false, "Disable healthchecks on container")
	return o
}

// Finish tests what the flags say together and completes h.
func (o *HealthOptions) Finish(h *specgen.Health) error {
	switch {
	case o.none && len(h.Test) > 0:
		return errors.New("cannot specify both --no-healthcheck and --health-cmd")
	case o.none && len(o.startup.Test) > 0:
		return errors.New("cannot specify both --no-healthcheck and --health-startup-cmd")
	case o.none:
		h.Test = specgen.NoHealthCheck()
	}
	if o.fs.Changed("health-retries") {
		if o.retries == 0 {
			return errors.New("healthcheck-retries must be greater than 0")
		}
		h.Retries = o.retries
	}
	if o.fs.Changed("health-max-log-count") {
		h.MaxLogCount = &o.count
	}
	if o.fs.Changed("health-max-log-size") {
		h.MaxLogSize = &o.size
	}
	for _, name := range []string{"cmd", "interval", "retries", "success", "timeout"} {
		if o.fs.Changed("health-startup-" + name) {
			h.Startup = &o.startup
		}
	}
	return nil
}

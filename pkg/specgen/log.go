package specgen

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

// DefaultLogFiles is how many files a log that is rotated has if nothing is said:
// the present one, and the one before.
const DefaultLogFiles = 2

// maxLogFiles bounds what each reader has to look for.
const maxLogFiles = 1000

// ParseLogOpts applies values of --log-opt: path=, tag=, max-size=, max-file=,
// max-age=, label=KEY=VALUE and labels=KEY,KEY.
func ParseLogOpts(opts []string, log *Log) error {
	for _, o := range opts {
		key, value, ok := strings.Cut(o, "=")
		if !ok || value == "" {
			return fmt.Errorf("invalid log option %q: it must be KEY=VALUE", o)
		}
		if err := log.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) set(key, value string) error {
	switch key {
	case "path":
		l.Path = value
	case "tag":
		l.Tag = value
	case "max-size":
		n, err := units.FromHumanSize(value) // powers of 1000, as in the field
		if err != nil || n < 0 {
			return fmt.Errorf("log option max-size: invalid size: %q: it must be NUMBER[b|k|m|g]", value)
		}
		l.MaxSize = n
	case "max-age":
		age, err := time.ParseDuration(value)
		if err != nil || age <= 0 {
			return fmt.Errorf("log option max-age %q is not a duration: write for example 24h", value)
		}
		l.MaxAge = age
	case "max-file":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > maxLogFiles {
			return fmt.Errorf("log option max-file %q: it must be a number from 1 to %d", value, maxLogFiles)
		}
		l.MaxFiles = n
	case "label":
		if name, _, ok := strings.Cut(value, "="); !ok || name == "" {
			return fmt.Errorf("log option label %q: it must be label=KEY=VALUE", value)
		}
		l.Labels = append(l.Labels, value)
	case "labels":
		l.LabelNames = append(l.LabelNames, strings.Split(value, ",")...)
	case "env":
		return unsupported("--log-opt %s", key)
	default:
		return fmt.Errorf("unknown log option %q: it must be path, tag, max-size, max-file, max-age, label or labels", key)
	}
	return nil
}

// File tells whether the driver writes a file.
func (l *Log) File() bool {
	return l.Driver == "" || l.Driver == "k8s-file" || l.Driver == "json-file"
}

// Passthrough tells whether the container has its caller's streams.
func (l *Log) Passthrough() bool {
	return l.Driver == "passthrough" || l.Driver == "passthrough-tty"
}

func (l *Log) validate() error {
	drivers := []string{"", "k8s-file", "json-file", "journald", "none", "passthrough", "passthrough-tty"}
	if !slices.Contains(drivers, l.Driver) {
		return fmt.Errorf("invalid log driver %q: it must be k8s-file, journald, none, passthrough or passthrough-tty", l.Driver)
	}
	if hasControl(l.Path) || hasControl(l.Tag) || slices.ContainsFunc(l.Labels, hasControl) {
		return errors.New("log options must not hold control characters")
	}
	// conmon would take what comes after the colon for something else.
	if strings.Contains(l.Path, ":") {
		return fmt.Errorf("--log-opt path=%s must not hold a colon", l.Path)
	}
	if l.Tag != "" && l.Driver != "journald" && l.Driver != "" {
		return fmt.Errorf("--log-opt tag works with the journald driver only, not with %s", l.Driver)
	}
	if rotates := l.MaxSize > 0 || l.MaxAge > 0 || l.MaxFiles > 0; rotates && !l.File() {
		return fmt.Errorf("--log-opt max-size, max-age and max-file need a log file: they do not go with --log-driver %s", l.Driver)
	}
	if l.MaxSize < 0 {
		return errors.New("--log-opt max-size must not be negative")
	}
	if l.MaxFiles > 0 && l.MaxSize == 0 && l.MaxAge == 0 {
		return errors.New("--log-opt max-file needs max-size or max-age: they say when a new file begins")
	}
	return nil
}

// CheckLog tests the log alone, once its defaults are filled in.
func (c *Container) CheckLog() error {
	if err := c.Log.validate(); err != nil {
		return err
	}
	return c.validateLog()
}

// validateLog checks what the log has to do with the rest: a policy that needs
// what the driver cannot give.
func (c *Container) validateLog() error {
	l := &c.Log
	if !l.Passthrough() {
		return nil
	}
	if c.Restart != "" && c.Restart != "no" {
		return fmt.Errorf("--log-driver %s does not go with --restart %s: who restarts the container has no streams to give it, "+
			"and nothing could be read back; use k8s-file", l.Driver, c.Restart)
	}
	if c.Process.Terminal {
		return fmt.Errorf("--log-driver %s does not go with --tty: the container has its caller's streams, terminal or not", l.Driver)
	}
	return nil
}

// LogDetails are the labels of the log and those of the container that the log
// was told to show, as KEY=VALUE with commas.
func (c *Container) LogDetails() string {
	details := slices.Clone(c.Log.Labels)
	for _, name := range c.Log.LabelNames {
		if value, ok := c.Labels[name]; ok {
			details = append(details, name+"="+value)
		}
	}
	slices.Sort(details)
	return strings.Join(details, ",")
}

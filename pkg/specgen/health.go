package specgen

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// The first words of a health check.
const (
	testNone  = "NONE"
	testCmd   = "CMD"
	testShell = "CMD-SHELL"
)

// What happens to a container that turns unhealthy.
const (
	OnFailureNone    = "none"
	OnFailureKill    = "kill"
	OnFailureRestart = "restart"
	OnFailureStop    = "stop"
)

// Destinations of the log of checks that are no directory.
const (
	HealthLogLocal  = "local"
	HealthLogEvents = "events_logger"
)

// The field's defaults.
const (
	defaultHealthInterval = 30 * time.Second
	defaultHealthTimeout  = 30 * time.Second
	defaultHealthRetries  = 3
	defaultHealthLogCount = 5
	defaultHealthLogSize  = 500
)

const (
	// maxHealthTest bounds the command of an image's check: the kernel's bound of
	// one argument.
	maxHealthTest = 128 << 10
	// minImageInterval keeps an image from checking without a pause.
	minImageInterval = 100 * time.Millisecond
)

// Health is how it is found out whether what runs in the container works.
type Health struct {
	// Test is NONE; CMD and a command; or CMD-SHELL and a line for /bin/sh. Nil
	// means the image's, or none.
	Test []string `json:"test,omitempty"`
	// Interval between two checks; nil means 30 s, 0 that none is made by itself.
	Interval *time.Duration `json:"interval,omitempty"`
	// Timeout of one check; 0 means 30 s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// StartPeriod after the start, in which failures do not count; nil means the
	// image's, or none.
	StartPeriod *time.Duration `json:"start_period,omitempty"`
	// Retries is how many failures in a row make it unhealthy; 0 means 3.
	Retries uint `json:"retries,omitempty"`
	// Startup is checked first, until it succeeds.
	Startup *StartupCheck `json:"startup,omitempty"`
	// OnFailure is one of the OnFailure constants; "" is none.
	OnFailure string `json:"on_failure,omitempty"`
	// LogDestination is one of the HealthLog constants or a directory; "" is local.
	LogDestination string `json:"log_destination,omitempty"`
	// MaxLogCount checks are remembered (nil: 5), each with so many bytes of its
	// output as MaxLogSize (nil: 500); 0 is no bound.
	MaxLogCount *uint `json:"max_log_count,omitempty"`
	MaxLogSize  *uint `json:"max_log_size,omitempty"`
}

// StartupCheck comes before the health check, and restarts what does not come up.
type StartupCheck struct {
	// Test, Interval and Timeout are like those of Health.
	Test     []string       `json:"test,omitempty"`
	Interval *time.Duration `json:"interval,omitempty"`
	Timeout  time.Duration  `json:"timeout,omitempty"`
	// Successes in a row that end it; 0 means one.
	Successes uint `json:"successes,omitempty"`
	// Retries is how many failures in a row restart the container; 0 never.
	Retries uint `json:"retries,omitempty"`
}

// ImageHealth is the health check of an image. It is hostile input; zero fields
// mean the defaults.
type ImageHealth struct {
	Test                           []string
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int
}

// NoHealthCheck is the Test that switches the image's check off.
func NoHealthCheck() []string { return []string{testNone} }

// Defined says whether there is a check.
func (h *Health) Defined() bool { return HealthCommand(h.Test) != nil }

// Every is the time between two checks; 0: none is made by itself.
func (h *Health) Every() time.Duration { return orDuration(h.Interval, defaultHealthInterval) }

// Limit is how long a check may take.
func (h *Health) Limit() time.Duration { return limitOf(h.Timeout) }

// Grace is the start period.
func (h *Health) Grace() time.Duration { return orDuration(h.StartPeriod, 0) }

// Tries is how many failures in a row make the container unhealthy.
func (h *Health) Tries() uint {
	if h.Retries == 0 {
		return defaultHealthRetries
	}
	return h.Retries
}

// Action is what happens to an unhealthy container.
func (h *Health) Action() string {
	if h.OnFailure == "" {
		return OnFailureNone
	}
	return h.OnFailure
}

// LogTo is where the log of checks goes.
func (h *Health) LogTo() string {
	if h.LogDestination == "" {
		return HealthLogLocal
	}
	return h.LogDestination
}

// LogDir is the directory of the log; empty if it goes elsewhere.
func (h *Health) LogDir() string {
	if to := h.LogTo(); to != HealthLogLocal && to != HealthLogEvents {
		return to
	}
	return ""
}

// LogCount and LogSize bound the log; 0 is no bound.
func (h *Health) LogCount() uint { return orUint(h.MaxLogCount, defaultHealthLogCount) }

// LogSize bounds the output that is kept of a check; 0 is no bound.
func (h *Health) LogSize() uint { return orUint(h.MaxLogSize, defaultHealthLogSize) }

// Every is the time between two start-up checks; 0: none is made by itself.
func (s *StartupCheck) Every() time.Duration { return orDuration(s.Interval, defaultHealthInterval) }

// Limit is how long a start-up check may take.
func (s *StartupCheck) Limit() time.Duration { return limitOf(s.Timeout) }

func limitOf(d time.Duration) time.Duration {
	if d == 0 {
		return defaultHealthTimeout
	}
	return d
}

func orDuration(d *time.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return *d
}

func orUint(n *uint, otherwise uint) uint {
	if n == nil {
		return otherwise
	}
	return *n
}

// HealthCommand is what a test runs; nil if it is none. A first word that is no
// keyword begins the command, as the field has it.
func HealthCommand(test []string) []string {
	if len(test) == 0 {
		return nil
	}
	command := test
	switch test[0] {
	case testNone:
		return nil
	case testCmd:
		command = test[1:]
	case testShell:
		if line := strings.Join(test[1:], " "); line != "" {
			return []string{"/bin/sh", "-c", line}
		}
		return nil
	}
	if len(command) == 0 || command[0] == "" {
		return nil
	}
	return command
}

// ParseHealthCmd reads the value of --health-cmd: none, a line for the shell, CMD
// or CMD-SHELL and what follows, or a JSON array of words.
func ParseHealthCmd(s string) ([]string, error) {
	var test []string
	if strings.HasPrefix(strings.TrimSpace(s), "[") && json.Unmarshal([]byte(s), &test) == nil {
		switch {
		case len(test) == 0:
			return nil, errors.New("must define a healthcheck command for all healthchecks")
		case isKeyword(test[0]):
			test[0] = strings.ToUpper(test[0])
		case len(test) == 1:
			test = []string{testShell, test[0]}
		default:
			test = append([]string{testCmd}, test...)
		}
	} else {
		first, rest, _ := strings.Cut(s, " ")
		switch strings.ToUpper(first) {
		case testNone:
			test = []string{testNone}
		case testCmd:
			test = append([]string{testCmd}, strings.Fields(rest)...)
		case testShell:
			test = []string{testShell, rest}
		default:
			test = []string{testShell, s}
		}
	}
	if test[0] == testNone {
		return []string{testNone}, nil
	}
	if HealthCommand(test) == nil {
		return nil, errors.New("must define a healthcheck command for all healthchecks")
	}
	return test, nil
}

func isKeyword(word string) bool {
	switch strings.ToUpper(word) {
	case testNone, testCmd, testShell:
		return true
	}
	return false
}

// ParseHealthInterval reads a duration, or "disable" for none.
func ParseHealthInterval(s string) (*time.Duration, error) {
	var d time.Duration
	if s != "disable" {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			return nil, fmt.Errorf("invalid healthcheck-interval: %w", err)
		}
	}
	if d < 0 {
		return nil, errors.New("healthcheck-interval must be 0 seconds or greater")
	}
	return &d, nil
}

// ParseHealthTimeout reads a duration.
func ParseHealthTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("invalid healthcheck-timeout: %w", err)
	}
	if d <= 0 {
		return 0, errors.New("healthcheck-timeout must be at least 1 second")
	}
	return d, nil
}

// ParseHealthStartPeriod reads a duration.
func ParseHealthStartPeriod(s string) (*time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return nil, fmt.Errorf("invalid healthcheck-start-period: %w", err)
	}
	if d < 0 {
		return nil, errors.New("healthcheck-start-period must be 0 seconds or greater")
	}
	return &d, nil
}

// ParseHealthOnFailure reads an action.
func ParseHealthOnFailure(s string) (string, error) {
	switch s {
	case "":
		return "", nil
	case OnFailureNone, OnFailureKill, OnFailureRestart, OnFailureStop:
		return s, nil
	}
	return "", fmt.Errorf("invalid on-failure action %q for health check: supported actions are none,kill,restart,stop", s)
}

// Validate tests what does not depend on the image.
func (h *Health) Validate() error {
	if _, err := ParseHealthOnFailure(h.OnFailure); err != nil {
		return err
	}
	for _, d := range []time.Duration{orDuration(h.Interval, 0), h.Timeout, orDuration(h.StartPeriod, 0)} {
		if d < 0 {
			return errors.New("the durations of a health check must be 0 seconds or greater")
		}
	}
	if dir := h.LogDir(); dir != "" && (!path.IsAbs(dir) || hasControl(dir)) {
		return fmt.Errorf("--health-log-destination %q must be local, events_logger or the absolute path of a directory", dir)
	}
	tests := [][]string{h.Test}
	if h.Startup != nil {
		tests = append(tests, h.Startup.Test)
	}
	for _, test := range tests {
		if slices.ContainsFunc(test, func(w string) bool { return strings.ContainsRune(w, 0) }) {
			return errors.New("the command of a health check holds a zero byte")
		}
	}
	return nil
}

// applyImage takes the image's check where the user named none, and of its values
// those that the user gave none for. What is left open stays so.
func (h *Health) applyImage(img *ImageHealth) error {
	if len(h.Test) == 0 && img != nil && HealthCommand(img.Test) != nil {
		if err := img.check(); err != nil {
			return err
		}
		h.Test = slices.Clone(img.Test)
		if h.Interval == nil && img.Interval > 0 {
			every := max(img.Interval, minImageInterval)
			h.Interval = &every
		}
		if h.Timeout == 0 {
			h.Timeout = img.Timeout
		}
		if h.StartPeriod == nil && img.StartPeriod > 0 {
			grace := img.StartPeriod
			h.StartPeriod = &grace
		}
		if h.Retries == 0 {
			h.Retries = uint(max(img.Retries, 0)) //nolint:gosec // not negative
		}
	}
	if h.Startup != nil && HealthCommand(h.Startup.Test) == nil {
		h.Startup = nil // values of a start-up check, but none
	}
	if h.Defined() {
		return nil
	}
	if h.Startup != nil {
		return errors.New("cannot set a startup healthcheck when there is no regular healthcheck: invalid argument")
	}
	if h.Action() != OnFailureNone {
		return fmt.Errorf("cannot set on-failure action to %s without a health check", h.OnFailure)
	}
	return nil
}

// Change lays over h what n says, for a container that exists.
func (h *Health) Change(n *Health) error {
	if len(n.Test) > 0 {
		h.Test = n.Test
		if !h.Defined() {
			h.Startup, h.OnFailure = nil, ""
		}
	}
	if !h.Defined() {
		if rest := *n; len(n.Test) == 0 || rest.Startup != nil || rest.Action() != OnFailureNone {
			return errors.New("cannot change the health check of a container that has none: give it one with --health-cmd")
		}
		return nil
	}
	change(&h.Interval, n.Interval)
	change(&h.StartPeriod, n.StartPeriod)
	change(&h.MaxLogCount, n.MaxLogCount)
	change(&h.MaxLogSize, n.MaxLogSize)
	h.Timeout, h.Retries = cmp.Or(n.Timeout, h.Timeout), cmp.Or(n.Retries, h.Retries)
	h.OnFailure = cmp.Or(n.OnFailure, h.OnFailure)
	h.LogDestination = cmp.Or(n.LogDestination, h.LogDestination)
	if n.Startup == nil {
		return nil
	}
	s := StartupCheck{}
	if h.Startup != nil {
		s = *h.Startup
	}
	if len(n.Startup.Test) > 0 {
		s.Test = n.Startup.Test
	}
	if len(s.Test) == 0 {
		return errors.New("cannot change the startup healthcheck of a container that has none: give it one with --health-startup-cmd")
	}
	if HealthCommand(s.Test) == nil {
		h.Startup = nil
		return nil
	}
	change(&s.Interval, n.Startup.Interval)
	s.Timeout = cmp.Or(n.Startup.Timeout, s.Timeout)
	s.Successes, s.Retries = cmp.Or(n.Startup.Successes, s.Successes), cmp.Or(n.Startup.Retries, s.Retries)
	h.Startup = &s
	return nil
}

// change sets what is not nil.
func change[T any](to **T, from *T) {
	if from != nil {
		*to = from
	}
}

// check refuses a check that no builder writes.
func (i *ImageHealth) check() error {
	size := 0
	for _, w := range i.Test {
		size += len(w) + 1
		if strings.ContainsRune(w, 0) {
			return errors.New("image: the command of its health check holds a zero byte: use --no-healthcheck or --health-cmd")
		}
	}
	if size > maxHealthTest || i.Interval < 0 || i.Timeout < 0 || i.StartPeriod < 0 {
		return errors.New("image: its health check is out of bounds: use --no-healthcheck or --health-cmd")
	}
	return nil
}

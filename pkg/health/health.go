// Package health owns what is known of a container's health: the results of its
// checks, what follows from them, and the file they are kept in. Running a check,
// setting its timer and doing what follows is left to libpod.
package health

import (
	"time"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// Status is what the checks of a container amount to.
type Status string

// The states, in the field's words. A container without checks has none.
const (
	Starting  Status = "starting"
	Healthy   Status = "healthy"
	Unhealthy Status = "unhealthy"
	// Stopped: the container ended under its check.
	Stopped Status = "stopped"
)

// Exit codes in the log that are not those of a check: a failed one has 1,
// whatever its command's own was.
const (
	CodeOK      = 0
	CodeFailed  = 1
	CodeTimeout = -1
	CodeError   = 125 // the check could not be made
)

// Entry is one check. Its keys are the field's.
type Entry struct {
	Start    time.Time
	End      time.Time
	ExitCode int
	Output   string
}

// Results are what inspect shows.
type Results struct {
	Status        Status
	FailingStreak int
	Log           []Entry
}

// State is all that is remembered of the checks of one run.
type State struct {
	Results
	// Run is when the run began, which tells it from others.
	Run time.Time
	// Startup is the progress of the start-up check.
	Startup Startup
	// Pending is what has to be done to the container, one of specgen's OnFailure
	// constants; it is written before it is done, and again after.
	Pending string `json:",omitempty"`
}

// Startup counts start-up checks in a row.
type Startup struct {
	Passed    bool `json:",omitempty"`
	Successes uint `json:",omitempty"`
	Failures  uint `json:",omitempty"`
}

// Begin is the state of a run that has not been checked.
func Begin(run time.Time) State {
	return State{Results: Results{Status: Starting}, Run: run}
}

// InStartup says whether the start-up check is what is to be run.
func (s *State) InStartup(h *specgen.Health) bool { return h.Startup != nil && !s.Startup.Passed }

// Record adds a check to the state. What is to be done to the container because
// of it is Pending. stopped: the container has ended meanwhile.
func (s *State) Record(h *specgen.Health, e Entry, stopped bool) {
	s.add(h, e)
	switch {
	case e.ExitCode != CodeOK && stopped:
		s.Status = Stopped
	case s.InStartup(h):
		s.recordStartup(h.Startup, e)
	case e.ExitCode == CodeOK:
		s.Status, s.FailingStreak = Healthy, 0
	case e.Start.Before(s.Run.Add(h.Grace())):
		// It may still be starting: nothing follows.
	default:
		s.FailingStreak++
		if s.Status != Unhealthy && uint(s.FailingStreak) >= h.Tries() { //nolint:gosec // not negative
			s.Status = Unhealthy
			if action := h.Action(); action != specgen.OnFailureNone {
				s.Pending = action
			}
		}
	}
}

// recordStartup counts a start-up check. The last one that is needed makes the
// container healthy, as in the field.
func (s *State) recordStartup(startup *specgen.StartupCheck, e Entry) {
	if e.ExitCode == CodeOK {
		s.Startup.Successes++
		s.Startup.Failures = 0
		if s.Startup.Successes >= max(startup.Successes, 1) {
			s.Startup = Startup{Passed: true}
			s.Status, s.FailingStreak = Healthy, 0
		}
		return
	}
	s.Startup.Failures++
	s.Startup.Successes = 0
	if startup.Retries > 0 && s.Startup.Failures == startup.Retries {
		s.Pending = specgen.OnFailureRestart
	}
}

// add keeps the entry, as far as the log may grow.
func (s *State) add(h *specgen.Health, e Entry) {
	e.Output = Clip(e.Output, h.LogSize())
	s.Log = append(s.Log, e)
	if count := h.LogCount(); count > 0 && uint(len(s.Log)) > count {
		s.Log = s.Log[uint(len(s.Log))-count:]
	}
}

// Clip cuts an output to size bytes; 0 is no bound.
func Clip(output string, size uint) string {
	if size > 0 && uint(len(output)) > size {
		return output[:size]
	}
	return output
}

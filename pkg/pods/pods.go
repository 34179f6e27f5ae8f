// Package pods owns what follows about a pod from its containers alone: its
// status, and the order in which they start. It computes and reads nothing.
package pods

import (
	"slices"
)

// The states of a pod, in the field's words.
const (
	Created  = "Created"
	Running  = "Running"
	Degraded = "Degraded"
	Paused   = "Paused"
	Stopped  = "Stopped"
	Exited   = "Exited"
	Removing = "Removing"
)

// Statuses are the states that a filter can ask for.
func Statuses() []string {
	return []string{Created, Running, Degraded, Paused, Stopped, Exited, Removing, "Dead", "Error", "Unknown"}
}

// Counts say how many containers of a pod are in which state. Init containers do
// not count: they are to end.
type Counts struct {
	Total, Running, Paused, Exited int
}

// Status is the state of a pod with these containers.
func Status(c Counts) string {
	switch {
	case c.Total == 0:
		return Created
	case c.Running == c.Total:
		return Running
	case c.Running > 0:
		return Degraded
	case c.Paused == c.Total:
		return Paused
	case c.Paused > 0:
		return Degraded
	case c.Exited == c.Total:
		return Exited
	case c.Exited > 0:
		return Stopped
	}
	return Created
}

// Member is a container of a pod, and the ids of those it needs.
type Member struct {
	ID    string
	Needs []string
}

// Levels orders the containers: those of a level need some of the levels before
// it, and none of their own. Needs of strangers do not count; of a ring, which
// names allow, all are in the last level.
func Levels(members []Member) [][]string {
	left := slices.Clone(members)
	known := map[string]bool{}
	for _, m := range left {
		known[m.ID] = true
	}
	var levels [][]string
	done := map[string]bool{}
	for len(left) > 0 {
		var level []string
		var rest []Member
		for _, m := range left {
			waits := slices.ContainsFunc(m.Needs, func(id string) bool { return id != m.ID && known[id] && !done[id] })
			if waits {
				rest = append(rest, m)
			} else {
				level = append(level, m.ID)
			}
		}
		if len(level) == 0 {
			for _, m := range rest {
				level = append(level, m.ID)
			}
			rest = nil
		}
		for _, id := range level {
			done[id] = true
		}
		levels, left = append(levels, level), rest
	}
	return levels
}

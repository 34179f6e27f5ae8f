// Package events owns the log of what happened to containers, images and
// volumes: its entries, and where they are kept (the journal, a file, nowhere).
// Writing never stops a command; reading filters and follows.
package events

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Type is the kind of object an event is about.
type Type string

// The types.
const (
	Artifact  Type = "artifact"
	Container Type = "container"
	Image     Type = "image"
	Network   Type = "network"
	Pod       Type = "pod"
	Secret    Type = "secret"
	System    Type = "system"
	Volume    Type = "volume"
)

// Status is what happened.
type Status string

// The statuses, with the words of podman.
const (
	Add          Status = "add"
	Attach       Status = "attach"
	AutoUpdate   Status = "auto-update"
	Build        Status = "build"
	Checkpoint   Status = "checkpoint"
	Cleanup      Status = "cleanup"
	Commit       Status = "commit"
	Connect      Status = "connect"
	Create       Status = "create"
	Died         Status = "died"
	Disconnect   Status = "disconnect"
	Exec         Status = "exec"
	ExecDied     Status = "exec_died"
	Export       Status = "export"
	HealthStatus Status = "health_status"
	Import       Status = "import"
	Init         Status = "init"
	Kill         Status = "kill"
	LoadArchive  Status = "loadfromarchive"
	Mount        Status = "mount"
	Pause        Status = "pause"
	Prune        Status = "prune"
	Pull         Status = "pull"
	PullError    Status = "pull-error"
	Push         Status = "push"
	Refresh      Status = "refresh"
	Remove       Status = "remove"
	Rename       Status = "rename"
	Renumber     Status = "renumber"
	Restart      Status = "restart"
	Restore      Status = "restore"
	Save         Status = "save"
	Start        Status = "start"
	Stop         Status = "stop"
	Sync         Status = "sync"
	Tag          Status = "tag"
	Unmount      Status = "unmount"
	Unpause      Status = "unpause"
	Untag        Status = "untag"
	Update       Status = "update"
)

// Event is something that happened. Write sets Time and Store.
type Event struct {
	Time   time.Time `json:"time"`
	Type   Type      `json:"type"`
	Status Status    `json:"status"`
	// ID and Name are of the object; a volume has only a name.
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
	// Image is the name of a container's image.
	Image string `json:"image,omitempty"`
	PodID string `json:"pod_id,omitempty"`
	// Network is the network of connect and disconnect.
	Network string `json:"network,omitempty"`
	// ExitCode of died and exec_died; nil when there is none.
	ExitCode  *int `json:"exit_code,omitempty"`
	OOMKilled bool `json:"oom_killed,omitempty"`
	// Health is the result of health_status.
	Health string `json:"health,omitempty"`
	// FailingStreak is of health_status, and so is HealthLog, the check as JSON.
	FailingStreak int    `json:"failing_streak,omitempty"`
	HealthLog     string `json:"health_log,omitempty"`
	Error         string `json:"error,omitempty"`
	// Attributes are the labels of the object and details of the event.
	Attributes map[string]string `json:"attributes,omitempty"`
	// Store names the graph root: the journal has the events of all of them.
	Store string `json:"store,omitempty"`
}

// timeLayout is how Go prints a time, which is how podman prints an event's.
const timeLayout = "2006-01-02 15:04:05.999999999 -0700 MST"

// Line is the event as people read it. With truncate ids are short.
func (e *Event) Line(truncate bool) string {
	id := e.ID
	if truncate {
		id = id[:min(len(id), 12)]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", e.Time.Local().Format(timeLayout), e.Type, e.Status)
	add := func(s string) {
		if s != "" {
			b.WriteString(" " + printable(s))
		}
	}
	switch e.Type {
	case Container, Pod:
		add(id)
		fmt.Fprintf(&b, " (image=%s, name=%s", printable(e.Image), printable(e.Name))
		if e.Health != "" {
			fmt.Fprintf(&b, ", health_status=%s, health_failing_streak=%d, health_log=%s",
				printable(e.Health), e.FailingStreak, printable(e.HealthLog))
		}
		for _, key := range slices.Sorted(maps.Keys(e.Attributes)) {
			fmt.Fprintf(&b, ", %s=%s", printable(key), printable(e.Attributes[key]))
		}
		b.WriteString(")")
	case Network:
		add(id)
		if e.Status == Create || e.Status == Remove {
			fmt.Fprintf(&b, " (name=%s, type=%s)", printable(e.Name), printable(e.Attributes["driver"]))
			break
		}
		fmt.Fprintf(&b, " (container=%s, name=%s)", printable(e.ID), printable(e.Network))
	case Volume, System:
		add(e.Name)
	default:
		add(id)
		add(e.Name)
	}
	if e.Error != "" {
		fmt.Fprintf(&b, " error: %s", printable(e.Error))
	}
	return b.String()
}

// printable keeps an event on its line and the terminal as it is: names and
// labels come from images, which strangers make.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return '?'
		}
		return r
	}, s)
}

// Package progress tells what happens during a build. buildah's library writes
// lines: of every stage to the same writer, among what the steps themselves
// print. A Tap is that writer. It knows whose each byte is and makes events of
// them, which Plain and JSON print; a terminal's live view is made of them too.
package progress

import (
	"strconv"
	"time"
)

// Kind is what has happened.
type Kind string

// The kinds of events.
const (
	// Start is the begin of a step.
	Start Kind = "start"
	// Cached: an image of an earlier build is the step's result.
	Cached Kind = "cached"
	// Uncached: there is none, so the step is done. Reason says why there is none.
	Uncached Kind = "uncached"
	// Output is a line that the step has written, or that tells of its work.
	Output Kind = "output"
	// Done is the end of a step that has worked.
	Done Kind = "done"
	// Commit: the image of the build is being made.
	Commit Kind = "commit"
	// Tag: the image got a name.
	Tag Kind = "tag"
	// Image is the end of the build of one platform.
	Image Kind = "image"
	// Warning is something the user should know.
	Warning Kind = "warning"
	// Error is the end of a build that has not worked.
	Error Kind = "error"
)

// Streams of output.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Event is what happened.
type Event struct {
	Time time.Time `json:"time"`
	Kind Kind      `json:"kind"`
	// Platform is set if there are several.
	Platform string `json:"platform,omitempty"`
	// Stage counts from 1 to Stages; both are 0 for what is not a stage's.
	Stage  int `json:"stage,omitempty"`
	Stages int `json:"stages,omitempty"`
	// Step counts from 1, which is FROM, to Total.
	Step  int `json:"step,omitempty"`
	Total int `json:"total,omitempty"`
	// Instruction is the step's text.
	Instruction string `json:"instruction,omitempty"`
	// ID is an image's; that of a step that was done is cut, as it is printed.
	ID string `json:"id,omitempty"`
	// Reason is why a step was not cached.
	Reason string `json:"reason,omitempty"`
	// Seconds is how long a step took.
	Seconds float64 `json:"seconds,omitempty"`
	// Stream is where a line was written.
	Stream string `json:"stream,omitempty"`
	// Line is a line of output, the name of a tag, the text of a warning or error.
	Line string `json:"line,omitempty"`

	// raw is what was written, to the byte.
	raw []byte
	// said: by buildah, not by a step.
	said bool
}

// Prefix stands before lines of one of several stages or platforms, as buildah
// marks its own.
func (e *Event) Prefix() string {
	prefix := ""
	if e.Platform != "" {
		prefix = "[" + e.Platform + "] "
	}
	if e.Stages > 1 {
		prefix += "[" + strconv.Itoa(e.Stage) + "/" + strconv.Itoa(e.Stages) + "] "
	}
	return prefix
}

package progress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Plain prints events as lines. Those of a build with one stage are podman's,
// where podman has them; what several stages write has the stage in front.
type Plain struct {
	Out, Err io.Writer
	// Quiet reasons are not printed: the user knows them.
	Quiet func(reason string) bool
}

// Event prints an event.
func (p *Plain) Event(e *Event) {
	w := p.Out
	if e.Stream == Stderr {
		w = p.Err
	}
	switch e.Kind {
	case Start, Commit:
		write(w, e.raw) // marked by buildah
	case Uncached:
		if e.Reason != "" && (p.Quiet == nil || !p.Quiet(e.Reason)) {
			fmt.Fprintf(w, "%s    not cached: %s\n", e.Prefix(), e.Reason)
		}
	case Warning:
		if e.raw != nil {
			write(w, e.raw)
			return
		}
		fmt.Fprintf(p.Err, "WARN %s%s\n", e.Prefix(), e.Line)
	case Cached, Done, Output:
		prefix := e.Prefix()
		if prefix == "" {
			write(w, e.raw)
			return
		}
		if e.raw == nil {
			return // an end that buildah did not announce
		}
		line := append([]byte(prefix), e.raw...)
		if line[len(line)-1] != '\n' {
			line = append(line, '\n') // another stage may be the next to write
		}
		write(w, line)
	case Tag, Image:
		write(w, e.raw)
	case Error: // whoever has started the build prints it
	}
}

// Quiet prints the id of the image, and what podman does not hide either: what
// steps write to standard error, and warnings.
type Quiet struct{ Out, Err io.Writer }

// Event prints an event.
func (q *Quiet) Event(e *Event) {
	switch {
	case e.Kind == Image:
		write(q.Out, e.raw)
	case e.Kind == Output && e.Stream == Stderr && !e.said:
		write(q.Err, e.raw)
	case e.Kind == Warning && e.raw == nil:
		fmt.Fprintf(q.Err, "WARN %s%s\n", e.Prefix(), e.Line)
	}
}

// JSON prints each event as an object on a line of its own.
type JSON struct{ Out io.Writer }

// Event prints an event.
func (j *JSON) Event(e *Event) {
	event := *e
	if e.Kind == Output {
		event.Instruction = "" // Start has said it
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(event); err == nil {
		write(j.Out, line.Bytes())
	}
}

// write writes to a terminal or pipe of the user. If that is gone, the build goes
// on, as one in the background does.
func write(w io.Writer, data []byte) {
	_, _ = w.Write(data)
}

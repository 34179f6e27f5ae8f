// Package step runs the named steps of a command. A step can be traced (pod
// --trace) and, in tests, the process can be made to die right before or after
// it; both cost nothing when they are off.
package step

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// KillVariable names the environment variable of the crash tests. Its value is
// before:NAME or after:NAME; the process kills itself there with SIGKILL. With
// stop:PID: in front the process PID, and none that inherits the variable, stops
// itself instead, until somebody continues it: the test then ends another process
// at that moment.
const KillVariable = "POD_TEST_KILL_AT"

type key struct{}

// Recorder collects the steps of one command.
type Recorder struct {
	path  string
	kill  string
	start time.Time

	mu     sync.Mutex
	events []traceEvent
}

// traceEvent is a complete event of the Trace Event Format that Perfetto and
// chrome://tracing read; times are in microseconds.
type traceEvent struct {
	Name     string  `json:"name"`
	Phase    string  `json:"ph"`
	Start    float64 `json:"ts"`
	Duration float64 `json:"dur"`
	PID      int     `json:"pid"`
	Thread   int     `json:"tid"`
}

// With returns a context whose steps are recorded for the trace file at path
// (empty: not) and which honours KillVariable. With neither it returns ctx.
func With(ctx context.Context, path string, start time.Time) (context.Context, *Recorder) {
	kill := os.Getenv(KillVariable)
	if path == "" && kill == "" {
		return ctx, nil
	}
	r := &Recorder{path: path, kill: kill, start: start}
	return context.WithValue(ctx, key{}, r), r
}

// Do runs f as the step called name.
func Do(ctx context.Context, name string, f func() error) error {
	end := Begin(ctx, name)
	err := f()
	end()
	return err
}

// Begin marks the begin of a step; the returned function marks its end.
func Begin(ctx context.Context, name string) (end func()) {
	r, _ := ctx.Value(key{}).(*Recorder)
	if r == nil {
		return func() {}
	}
	r.killAt("before", name)
	begin := time.Now()
	return func() {
		r.add(name, begin, time.Now())
		r.killAt("after", name)
	}
}

func (r *Recorder) killAt(when, name string) {
	point, stop := strings.CutPrefix(r.kill, "stop:")
	if stop {
		if point, stop = strings.CutPrefix(point, strconv.Itoa(os.Getpid())+":"); !stop {
			return
		}
	}
	if point == "" || !strings.HasPrefix(point, when) || point != when+":"+name {
		return
	}
	if stop {
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
		return
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {} // the signal is on its way
}

func (r *Recorder) add(name string, begin, end time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, traceEvent{
		Name: name, Phase: "X", PID: os.Getpid(), Thread: unix.Gettid(),
		Start:    float64(begin.Sub(r.start)) / float64(time.Microsecond),
		Duration: float64(end.Sub(begin)) / float64(time.Microsecond),
	})
}

// Write writes the trace file, if one was asked for. The whole command is its
// first event.
func (r *Recorder) Write() error {
	if r == nil || r.path == "" {
		return nil
	}
	r.add("pod", r.start, time.Now())
	data, err := json.Marshal(map[string]any{
		"traceEvents": r.events, "displayTimeUnit": "ms",
		// The times count from here: whoever puts a trace beside another clock needs it.
		"otherData": map[string]time.Time{"start": r.start.UTC()},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path, append(data, '\n'), 0o644); err != nil { //nolint:gosec // for others to read, as the umask says
		return fmt.Errorf("write trace: %w", err)
	}
	return nil
}

package build

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rootless-pod/pod/cmd/pod/app/view"
	"github.com/rootless-pod/pod/pkg/build/progress"
	"github.com/rootless-pod/pod/pkg/build/reason"
)

const (
	// maxKept is how much of a step's output is kept in case it fails.
	maxKept = 8 << 20
	// longest is how many steps the summary names, of those above atLeast.
	longest = 3
	// titleWidth is that of a step in the summary.
	titleWidth = 40
	atLeast    = 500 * time.Millisecond
)

// terminal shows a build on a terminal: a line for each step that runs, those that
// are done above them, and at the end a summary. The output of a step is shown if
// it fails.
type terminal struct {
	out   io.Writer
	start time.Time

	mu    sync.Mutex
	tasks *view.Tasks
	// open are the steps that run, by stage.
	open map[string]*running
	// ended are those that were done.
	ended  []took
	steps  int
	cached int
	// last are what is printed below the summary; failed is the output of the step
	// that has failed.
	last   []string
	failed *running
}

// running is a step that runs.
type running struct {
	title  string
	start  time.Time
	why    string
	cached bool
	output []byte
	cut    bool
}

type took struct {
	title string
	time  time.Duration
}

func newTerminal(out io.Writer) *terminal {
	return &terminal{out: out, start: time.Now(), tasks: view.NewTasks(out), open: map[string]*running{}}
}

// Event shows an event.
func (t *terminal) Event(e *progress.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	stage := e.Prefix()
	step := t.open[stage]
	switch e.Kind {
	case progress.Start:
		step = &running{start: e.Time, title: fmt.Sprintf("%s%d/%d %s", stage, e.Step, e.Total, view.Clear(e.Instruction))}
		t.open[stage] = step
		t.steps++
		t.tasks.Start(stage, step.title)
	case progress.Cached:
		if step != nil && !step.cached {
			step.cached = true
			t.cached++
		}
	case progress.Uncached:
		if step != nil && !expected(e.Reason) {
			step.why = e.Reason
		}
	case progress.Output:
		t.output(stage, step, e)
	case progress.Done:
		t.done(stage, step, e)
	case progress.Warning:
		t.tasks.Print("WARN " + stage + view.Clear(e.Line))
	case progress.Tag:
		t.last = append(t.last, "Successfully tagged "+e.Line)
	case progress.Image:
		t.last = append(t.last, e.ID)
	case progress.Error:
		if e.Stage > 0 && step != nil {
			t.failed = step
			t.tasks.End(stage)
			t.print(view.Bad("✗ ") + clock(e.Time.Sub(step.start)) + step.title)
		}
	}
}

// print puts a line above those that run.
func (t *terminal) print(line string) { t.tasks.Print(view.Cut(line, view.Width(t.out))) }

func (t *terminal) output(stage string, step *running, e *progress.Event) {
	if e.Line == "" && step == nil {
		return
	}
	if step == nil {
		t.tasks.Print(view.Clear(e.Line))
		return
	}
	t.tasks.Say(stage, e.Line)
	step.output = append(append(step.output, e.Line...), '\n')
	if len(step.output) > 2*maxKept {
		step.output, step.cut = slices.Clone(step.output[len(step.output)-maxKept:]), true
	}
}

func (t *terminal) done(stage string, step *running, e *progress.Event) {
	if step == nil {
		return
	}
	delete(t.open, stage)
	t.tasks.End(stage)
	time := seconds(e.Seconds)
	if step.cached {
		t.print(view.Good("✓ ") + view.Faint("cached  "+step.title))
		return
	}
	t.print(view.Good("✓ ") + clock(time) + step.title)
	if step.why != "" {
		t.print(view.Faint("          not cached: " + view.Clear(step.why)))
	}
	t.ended = append(t.ended, took{step.title, time})
}

// finish gives the terminal back and says how it went.
func (t *terminal) finish(err error) error {
	closed := t.tasks.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	out := view.Colours(t.out)
	if f := t.failed; f != nil && len(f.output) > 0 {
		fmt.Fprintf(out, "%s\n", view.Bad(view.Cut("output of "+f.title, view.Width(t.out))))
		if f.cut {
			fmt.Fprintf(out, "%s\n", view.Faint("(only the last of it)"))
		}
		_, _ = t.out.Write(f.output) // as it is, as without a live view
	}
	if err == nil {
		fmt.Fprintf(out, "%s\n", view.Faint(t.summary()))
		for _, line := range t.last {
			fmt.Fprintln(t.out, line)
		}
	}
	return closed
}

func (t *terminal) summary() string {
	text := fmt.Sprintf("%d steps, %d cached, %s", t.steps, t.cached, view.Elapsed(time.Since(t.start)))
	slices.SortStableFunc(t.ended, func(a, b took) int { return int(b.time - a.time) })
	var long []string
	for _, one := range t.ended[:min(longest, len(t.ended))] {
		if one.time >= atLeast {
			long = append(long, fmt.Sprintf("%s %s", view.Elapsed(one.time), view.Cut(one.title, titleWidth)))
		}
	}
	if len(long) > 0 {
		text += "; longest: " + strings.Join(long, ", ")
	}
	return text
}

func clock(d time.Duration) string { return fmt.Sprintf("%6s  ", view.Elapsed(d)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// expected says that a step is not cached for a reason that the user knows.
func expected(why string) bool {
	return why == "" || why == reason.First || why == reason.NoCache || reason.Follows(why)
}

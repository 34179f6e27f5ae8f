package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// maxLine is where a line without an end is cut.
const maxLine = 1 << 20

// Options are what a Tap is made of.
type Options struct {
	// Event takes the events, one at a time.
	Event func(*Event)
	// Why says why a step is not cached; nil if nothing is looked for in the cache.
	// The event is that of the step's start.
	Why func(*Event) string
	// Verbatim hands on what the steps of a lone stage write as it comes, and not
	// line by line: a prompt or a row of dots is seen when it is written.
	Verbatim bool
	// Merge takes both streams of a step through one pipe, which keeps their order.
	// It is for streams that end in the same file.
	Merge bool
}

// Tap is where buildah writes.
type Tap struct {
	o        Options
	out, err *stream
	re       patterns

	mu sync.Mutex
	// hushed, closed: see Hush, Close.
	hushed, closed bool

	lanes map[unsafe.Pointer]*lane
	order []*lane
	now   func() time.Time
}

// lane is a stage being built for a platform.
type lane struct {
	start Event // the step's
	// open: the step runs. told: Cached or Uncached was said of it.
	open, told bool
}

// stream is a writer for buildah. What buildah itself has to say comes by Write,
// a line at a time, from the goroutine of the stage; what steps print is copied
// by goroutines of os/exec, which call ReadFrom. So no step can pass for buildah.
type stream struct {
	tap  *Tap
	name string
}

// New returns a Tap.
func New(o Options) *Tap {
	t := &Tap{o: o, re: newPatterns(), lanes: map[unsafe.Pointer]*lane{}, now: time.Now}
	t.out, t.err = &stream{t, Stdout}, &stream{t, Stderr}
	return t
}

// Out is for what podman writes to standard output.
func (t *Tap) Out() io.Writer { return t.out }

// Err is for what podman writes to standard error.
func (t *Tap) Err() io.Writer {
	if t.o.Merge {
		return t.out
	}
	return t.err
}

// Report is for what tells of pulls and commits.
func (t *Tap) Report() io.Writer { return t.err }

// Hush drops what buildah's logger and steps say from now on: stages that are being
// ended, and the programs that end them, complain of that.
func (t *Tap) Hush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hushed = true
}

// Close tells how the build has ended. Nothing is told afterwards.
func (t *Tap) Close(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() { t.closed = true }()
	if err == nil {
		return
	}
	failed := t.failed(err.Error())
	e := failed.event(Error)
	e.Line = err.Error()
	t.send(&e)
}

// failed is the stage that an error is about: its text names the step. Other
// stages may have been ended because of it.
func (t *Tap) failed(text string) *lane {
	var open []*lane
	for _, l := range t.order {
		if !l.open {
			continue
		}
		if _, args, _ := strings.Cut(l.start.Instruction, " "); args != "" && strings.Contains(text, args) {
			return l
		}
		open = append(open, l)
	}
	if len(open) == 1 {
		return open[0]
	}
	return nil
}

func (t *Tap) send(e *Event) {
	if t.closed {
		return
	}
	e.Time = t.now()
	t.o.Event(e)
}

// event is an event of the lane's step.
func (l *lane) event(kind Kind) Event {
	if l == nil {
		return Event{Kind: kind}
	}
	e := l.start
	e.Kind, e.raw = kind, nil
	return e
}

// Write takes what buildah says.
func (s *stream) Write(p []byte) (int, error) {
	t := s.tap
	t.mu.Lock()
	defer t.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line := rest
		if at := bytes.IndexByte(rest, '\n'); at >= 0 {
			line = rest[:at+1]
		}
		rest = rest[len(line):]
		t.line(s, line)
	}
	return len(p), nil
}

// ReadFrom takes what a step prints.
func (s *stream) ReadFrom(r io.Reader) (n int64, err error) {
	t := s.tap
	t.mu.Lock()
	l := t.lanes[ownLabels()]
	t.uncached(l) // it runs
	verbatim := t.o.Verbatim && (l == nil || l.start.Prefix() == "")
	t.mu.Unlock()
	buf := make([]byte, 32<<10)
	var pending []byte
	for {
		m, err := r.Read(buf)
		n += int64(m)
		switch {
		case m == 0:
		case verbatim:
			t.print(l, s.name, buf[:m])
		default:
			pending = t.lines(l, s.name, append(pending, buf[:m]...))
		}
		if err == nil {
			continue
		}
		t.print(l, s.name, pending)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		return n, fmt.Errorf("read what a step prints: %w", err)
	}
}

// lines sends the lines that data holds and returns what has no end yet.
func (t *Tap) lines(l *lane, stream string, data []byte) []byte {
	for {
		at := bytes.IndexByte(data, '\n') + 1
		if at == 0 && len(data) < maxLine {
			return data
		}
		if at == 0 {
			at = len(data)
		}
		t.print(l, stream, data[:at])
		data = data[at:]
	}
}

// print sends what a step has printed.
func (t *Tap) print(l *lane, stream string, data []byte) {
	if len(data) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hushed {
		return
	}
	e := l.event(Output)
	e.Stream, e.Line, e.raw = stream, string(bytes.TrimSuffix(data, []byte("\n"))), data
	t.send(&e)
}

// The lines of buildah (imagebuildah/executor.go, stage_executor.go).
const (
	usingCache = "--> Using cache "
	result     = "--> "
	tagged     = "Successfully tagged "
	unusedArgs = "[Warning] "
)

type patterns struct{ step, commit, logged *regexp.Regexp }

func newPatterns() patterns {
	const prefix = `^(?:\[([a-z][a-z0-9]*/[a-z0-9/.]+)\] )?(?:\[(\d+)/(\d+)\] )?`
	return patterns{
		step:   regexp.MustCompile(prefix + `STEP (\d+)(?:/(\d+))?: `),
		commit: regexp.MustCompile(prefix + `COMMIT(?: (.*))?$`),
		logged: regexp.MustCompile(`^time="[^"]*" level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)`),
	}
}

// line takes a line that buildah says.
func (t *Tap) line(s *stream, raw []byte) {
	text := strings.TrimSuffix(string(raw), "\n")
	l := t.lanes[ownLabels()]
	switch {
	case t.step(raw, text):
		return
	case s == t.err || s.tap.o.Merge:
		if t.logged(l, text) {
			return
		}
	}
	e := l.event(Output)
	switch id, isResult := strings.CutPrefix(text, result); {
	case s == t.err:
	case strings.HasPrefix(text, usingCache) && l != nil && l.open:
		l.told = true
		e = l.event(Cached)
		e.ID = text[len(usingCache):]
	case isResult && hexadecimal(id) && l != nil:
		t.uncached(l)
		e = l.done(t.now())
		e.ID = id
	case strings.HasPrefix(text, tagged):
		e.Kind, e.Line = Tag, text[len(tagged):]
	case strings.HasPrefix(text, unusedArgs):
		e.Kind, e.Line = Warning, text[len(unusedArgs):]
	case len(text) == 64 && hexadecimal(text):
		e.Kind, e.ID = Image, text
	default:
		if m := t.re.commit.FindStringSubmatch(text); m != nil && l != nil {
			t.uncached(l)
			e = l.event(Commit)
			e.Line = m[4]
		}
	}
	e.raw, e.said, e.Stream = raw, true, s.name
	if e.Kind == Output {
		e.Line = text
	} else {
		e.Stream = ""
	}
	t.send(&e)
}

// step takes the line that announces a step, which announces a stage too when it
// is the first that the goroutine writes.
func (t *Tap) step(raw []byte, text string) bool {
	m := t.re.step.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	stage, stages := atoi(m[2]), atoi(m[3])
	if stages == 0 {
		stage, stages = 1, 1
	}
	start := Event{
		Kind: Start, Platform: m[1], Stage: stage, Stages: stages, Step: atoi(m[4]), Total: atoi(m[5]),
		Instruction: text[len(m[0]):], raw: raw,
	}
	l := t.lanes[ownLabels()]
	if l == nil || l.start.Platform != start.Platform || l.start.Stage != start.Stage {
		l = &lane{}
		t.lanes[mark(start.Prefix())] = l
		t.order = append(t.order, l)
	}
	if l.open { // FROM has no result of its own; with --iidfile no step has
		t.uncached(l)
		e := l.done(t.now())
		t.send(&e)
	}
	*l = lane{start: start, open: true, told: start.Step == 1}
	t.send(&l.start)
	l.start.raw = nil
	return true
}

// uncached says of a step, once, that it is being done.
func (t *Tap) uncached(l *lane) {
	if l == nil || !l.open || l.told {
		return
	}
	l.told = true
	if t.o.Why == nil {
		return
	}
	e := l.event(Uncached)
	e.Reason = t.o.Why(&l.start)
	t.send(&e)
}

func (l *lane) done(now time.Time) Event {
	l.open = false
	e := l.event(Done)
	e.Seconds = now.Sub(l.start.Time).Seconds()
	return e
}

// logged takes a line of buildah's logger.
func (t *Tap) logged(l *lane, text string) bool {
	m := t.re.logged.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	if t.hushed || strings.Contains(text, "&imagebuilder.Step{") { // the error of the build says it in words
		return true
	}
	e := l.event(Warning)
	e.Line = m[2]
	if unquoted, err := strconv.Unquote(m[2]); err == nil {
		e.Line = unquoted
	}
	e.Line = strings.TrimSpace(e.Line)
	if m[1] != "warning" {
		e.Line = m[1] + ": " + e.Line
	}
	t.send(&e)
	return true
}

func hexadecimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s) // digits, or nothing
	return n
}

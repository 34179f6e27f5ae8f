package progress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// record is a Tap and what it has sent.
func record(o Options) (*Tap, *[]Event) {
	var got []Event
	next := o.Event
	o.Event = func(e *Event) {
		copied := *e
		copied.raw = bytes.Clone(e.raw)
		got = append(got, copied)
		if next != nil {
			next(e)
		}
	}
	t := New(o)
	clock := time.Unix(0, 0)
	t.now = func() time.Time { clock = clock.Add(time.Second); return clock }
	return t, &got
}

func say(t *Tap, format string, args ...any) { fmt.Fprintf(t.Out(), format+"\n", args...) }

// brief is an event as text.
func brief(e Event) string {
	said := []string{e.Prefix() + string(e.Kind)}
	if e.Step > 0 {
		said = append(said, fmt.Sprintf("%d/%d", e.Step, e.Total))
	}
	for _, part := range []string{e.ID, e.Reason, e.Stream, e.Line} {
		if part != "" {
			said = append(said, part)
		}
	}
	return strings.Join(said, " ")
}

func briefs(events []Event) []string {
	var out []string
	for _, e := range events {
		out = append(out, brief(e))
	}
	return out
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got:\n%s\nwant:\n%s", g, w)
	}
}

// run copies as os/exec does: in a goroutine that the caller starts.
func run(t *testing.T, w io.Writer, text string) {
	t.Helper()
	cmd := exec.Command("printf", "%s", text)
	cmd.Stdout = w
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
}

func TestOneStage(t *testing.T) {
	var out, log bytes.Buffer
	plain := &Plain{Out: &out, Err: &log}
	tap, got := record(Options{
		Event: plain.Event, Verbatim: true,
		Why: func(e *Event) string { return fmt.Sprintf("because of %d", e.Step) },
	})
	id := strings.Repeat("ab", 32)
	say(tap, "STEP 1/4: FROM base")
	say(tap, "STEP 2/4: ENV A=1")
	say(tap, "--> Using cache %s", id)
	say(tap, "--> abab")
	say(tap, "STEP 3/4: RUN echo")
	run(t, tap.Out(), "STEP 9/9: FROM a\n--> abab\npart")
	run(t, tap.Err(), "time=\"x\" level=warning msg=\"no\"\n")
	say(tap, "--> cdcd")
	say(tap, "STEP 4/4: CMD x")
	say(tap, "COMMIT name")
	fmt.Fprintln(tap.Err(), `time="2026" level=warning msg="missing \"X\""`)
	fmt.Fprintln(tap.Report(), "Copying blob")
	say(tap, "--> %s", id[:12])
	say(tap, "[Warning] one or more")
	say(tap, "Successfully tagged localhost/name:latest")
	say(tap, "%s", id)
	tap.Close(nil)
	same(t, briefs(*got),
		"start 1/4", "done 1/4", "start 2/4", "cached 2/4 "+id, "done 2/4 abab", "start 3/4", "uncached 3/4 because of 3",
		"output 3/4 stdout STEP 9/9: FROM a\n--> abab\npart", "output 3/4 stderr time=\"x\" level=warning msg=\"no\"",
		"done 3/4 cdcd", "start 4/4", "uncached 4/4 because of 4", "commit 4/4 name", `warning 4/4 missing "X"`,
		"output 4/4 stderr Copying blob", "done 4/4 "+id[:12], "warning 4/4 one or more", "tag 4/4 localhost/name:latest", "image 4/4 "+id,
	)
	want := "STEP 1/4: FROM base\nSTEP 2/4: ENV A=1\n--> Using cache " + id + "\n--> abab\nSTEP 3/4: RUN echo\n    not cached: because of 3\n" +
		"STEP 9/9: FROM a\n--> abab\npart--> cdcd\nSTEP 4/4: CMD x\n    not cached: because of 4\nCOMMIT name\n--> " + id[:12] +
		"\n[Warning] one or more\nSuccessfully tagged localhost/name:latest\n" + id + "\n"
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
	if want := "time=\"x\" level=warning msg=\"no\"\nWARN missing \"X\"\nCopying blob\n"; log.String() != want {
		t.Errorf("to stderr:\n%s\nwant:\n%s", log.String(), want)
	}
}

// Each byte is its stage's, however the writes of the stages fall.
func TestStagesSideBySide(t *testing.T) {
	var out bytes.Buffer
	plain := &Plain{Out: &out, Err: &out}
	tap, got := record(Options{Event: plain.Event, Verbatim: true})
	const stages, lines = 4, 200
	var wg sync.WaitGroup
	for stage := 1; stage <= stages; stage++ {
		wg.Go(func() {
			say(tap, "[linux/arm64] [%d/%d] STEP 1/2: FROM base", stage, stages)
			say(tap, "[linux/arm64] [%d/%d] STEP 2/2: RUN x", stage, stages)
			var text strings.Builder
			for i := range lines {
				fmt.Fprintf(&text, "stage%d line%d\n", stage, i)
			}
			run(t, tap.Out(), text.String()+"end")
			say(tap, "--> abcd")
		})
	}
	wg.Wait()
	next := map[int]int{}
	for _, e := range *got {
		if e.Kind != Output {
			continue
		}
		want := fmt.Sprintf("stage%d line%d", e.Stage, next[e.Stage])
		if next[e.Stage] == lines {
			want = "end"
		}
		if e.Line != want || e.Step != 2 || e.Platform != "linux/arm64" {
			t.Fatalf("%s: want line %q", brief(e), want)
		}
		next[e.Stage]++
	}
	for stage := 1; stage <= stages; stage++ {
		if next[stage] != lines+1 {
			t.Errorf("stage %d: %d lines", stage, next[stage])
		}
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "[linux/arm64] [") || strings.Count(line, "stage") > 1 {
			t.Errorf("printed: %q", line)
		}
	}
}

func TestLongLine(t *testing.T) {
	tap, got := record(Options{})
	text := strings.Repeat("x", maxLine+maxLine/2)
	if _, err := tap.out.ReadFrom(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range *got {
		all.WriteString(e.Line)
	}
	if all.String() != text || len(*got) != 2 {
		t.Errorf("%d events with %d of %d bytes", len(*got), all.Len(), len(text))
	}
}

func TestFailed(t *testing.T) {
	tests := map[string]struct {
		text string
		want string
	}{
		"the step is named":     {`building at STEP "RUN two": exit status 1`, "[2/2] error 1/2"},
		"another error":         {"no space left", "error"},
		"a step of both stages": {"RUN one two", "[1/2] error 1/2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tap, got := record(Options{})
			var wg sync.WaitGroup
			wg.Go(func() { say(tap, "[1/2] STEP 1/2: RUN one") })
			wg.Wait()
			wg.Go(func() { say(tap, "[2/2] STEP 1/2: RUN two") })
			wg.Wait()
			tap.Close(errors.New(tt.text))
			if last := brief((*got)[len(*got)-1]); last != tt.want+" "+tt.text {
				t.Errorf("got %q", last)
			}
		})
	}
}

func TestStep(t *testing.T) {
	tests := map[string]Event{
		"STEP 2/3: RUN x":                    {Stage: 1, Stages: 1, Step: 2, Total: 3, Instruction: "RUN x"},
		"[2/4] STEP 5: COPY a b":             {Stage: 2, Stages: 4, Step: 5, Instruction: "COPY a b"},
		"[linux/arm/v7] STEP 1/1: FROM x":    {Platform: "linux/arm/v7", Stage: 1, Stages: 1, Step: 1, Total: 1, Instruction: "FROM x"},
		"[wasip1/wasm] [1/2] STEP 1/1: RUN ": {Platform: "wasip1/wasm", Stage: 1, Stages: 2, Step: 1, Total: 1, Instruction: "RUN "},
		"[1/2] steps":                        {Kind: Output, Line: "[1/2] steps", Stream: Stdout, said: true},
	}
	for line, want := range tests {
		tap, got := record(Options{})
		say(tap, "%s", line)
		if want.Kind == "" {
			want.Kind = Start
		}
		e := (*got)[0]
		e.Time, e.raw = time.Time{}, nil
		if fmt.Sprint(e) != fmt.Sprint(want) {
			t.Errorf("%s: got %+v", line, e)
		}
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	tap, _ := record(Options{Event: (&JSON{Out: &out}).Event, Why: func(*Event) string { return "x & y" }})
	say(tap, "STEP 1/2: RUN a && b")
	say(tap, "STEP 2/2: RUN c")
	run(t, tap.Out(), "1\n2")
	say(tap, "--> ab")
	want := `{"time":"1970-01-01T00:00:01Z","kind":"start","stage":1,"stages":1,"step":1,"total":2,"instruction":"RUN a && b"}
{"time":"1970-01-01T00:00:03Z","kind":"done","stage":1,"stages":1,"step":1,"total":2,"instruction":"RUN a && b","seconds":1}
{"time":"1970-01-01T00:00:04Z","kind":"start","stage":1,"stages":1,"step":2,"total":2,"instruction":"RUN c"}
{"time":"1970-01-01T00:00:05Z","kind":"uncached","stage":1,"stages":1,"step":2,"total":2,"instruction":"RUN c","reason":"x & y"}
{"time":"1970-01-01T00:00:06Z","kind":"output","stage":1,"stages":1,"step":2,"total":2,"stream":"stdout","line":"1"}
{"time":"1970-01-01T00:00:07Z","kind":"output","stage":1,"stages":1,"step":2,"total":2,"stream":"stdout","line":"2"}
{"time":"1970-01-01T00:00:09Z","kind":"done","stage":1,"stages":1,"step":2,"total":2,"instruction":"RUN c","id":"ab","seconds":4}
`
	got := strings.ReplaceAll(strings.ReplaceAll(out.String(), "+00:00", "Z"), "1969-12-31T", "")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// phases are the steps of one command, as its own trace shows them.
type phases struct {
	Command string  `json:"command"`
	Phases  []phase `json:"phases"`
}

// phase is the median of one step: when it began, and how long it took.
type phase struct {
	Name     string  `json:"name"`
	Start    float64 `json:"start_ms"`
	Duration float64 `json:"duration_ms"`
}

// phases traces one start with and one without a network.
func (b *bench) phases(ctx context.Context, rounds int) ([]phases, error) {
	var pod *tool
	for _, t := range b.tools {
		if t.name == podName {
			pod = t
		}
	}
	var all []phases
	for _, network := range []string{"none", "pasta"} {
		args := []string{"run", "--rm", "--network", network, b.image, "true"}
		p := phases{Command: "run --rm --network " + network}
		times := timings{starts: map[string][]float64{}, durations: map[string][]float64{}}
		for range rounds {
			settle(ctx)
			if err := times.trace(ctx, pod, filepath.Join(b.runDir, "trace"), args); err != nil {
				return nil, err
			}
		}
		for name := range times.starts {
			p.Phases = append(p.Phases, phase{Name: name, Start: median(times.starts[name]), Duration: median(times.durations[name])})
		}
		slices.SortFunc(p.Phases, func(x, y phase) int { return cmp.Compare(x.Start, y.Start) })
		all = append(all, p)
	}
	return all, nil
}

// timings are when the steps of several traces began and how long they took.
type timings struct{ starts, durations map[string][]float64 }

// trace runs one command and adds what its trace says.
func (m timings) trace(ctx context.Context, t *tool, file string, args []string) error {
	if _, err := t.run(ctx, append([]string{"--trace", file}, args...)...); err != nil {
		return err
	}
	trace, err := readTrace(file)
	if err != nil {
		return fmt.Errorf("trace of %s: %w", t.name, err)
	}
	for _, e := range trace.TraceEvents {
		m.starts[e.Name] = append(m.starts[e.Name], e.Start/1000)
		m.durations[e.Name] = append(m.durations[e.Name], e.Duration/1000)
	}
	return nil
}

// trace is what --trace writes.
type trace struct {
	TraceEvents []struct {
		Name     string  `json:"name"`
		Start    float64 `json:"ts"`
		Duration float64 `json:"dur"`
	} `json:"traceEvents"`
	OtherData struct {
		Start time.Time `json:"start"` // which the times count from
	} `json:"otherData"`
}

func readTrace(file string) (*trace, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var t trace
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, err
	}
	return &t, nil
}

// tracedSince are the phases of a trace, in ms from a moment.
func tracedSince(file string, begin time.Time) ([]phase, error) {
	t, err := readTrace(file)
	if err != nil {
		return nil, err
	}
	if t.OtherData.Start.IsZero() {
		return nil, fmt.Errorf("%s does not say when it begins", file)
	}
	offset := float64(t.OtherData.Start.Sub(begin.Round(0))) / float64(time.Millisecond)
	var all []phase
	for _, e := range t.TraceEvents {
		all = append(all, phase{Name: e.Name, Start: round(offset + e.Start/1000), Duration: round(e.Duration / 1000)})
	}
	slices.SortStableFunc(all, func(x, y phase) int { return cmp.Compare(x.Start, y.Start) })
	return all, nil
}

func printPhases(out io.Writer, all []phases) {
	for _, p := range all {
		fmt.Fprintf(out, "\nphases of pod %s (ms)\n%-20s %8s %8s\n", p.Command, "phase", "begins", "takes")
		for _, x := range p.Phases {
			fmt.Fprintf(out, "%-20s %8.1f %8.2f\n", x.Name, x.Start, x.Duration)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

const rowFormat = "%-34s %-7s %9s %9s %9s %7s %7s %7s\n"

func printHead(out io.Writer) {
	fmt.Fprintf(out, rowFormat, "case", "unit", "pod", "podman", "buildah", "ratio", "limit", "goal")
}

func printRow(out io.Writer, r result) {
	if r.Error != "" {
		fmt.Fprintf(out, "%-34s failed: %s\n", r.Name, r.Error)
		return
	}
	third := "-"
	if median, ok := r.Medians[buildahName]; ok {
		third = number(median, 1)
	}
	fmt.Fprintf(out, rowFormat, r.Name, r.Unit, number(r.Medians[podName], 1), number(r.Medians[podmanName], 1), third,
		number(r.Ratio, 2), bound(r.Limit), bound(r.Goal))
}

func number(x float64, digits int) string { return fmt.Sprintf("%.*f", digits, x) }

func bound(x float64) string {
	if x == 0 {
		return "-"
	}
	return number(x, 2)
}

// verdict names what failed or is above its limit.
func (r *report) verdict(out io.Writer) bool {
	ok := true
	fmt.Fprintln(out)
	for _, x := range r.Results {
		switch {
		case x.Error != "":
			fmt.Fprintf(out, "FAILED %s\n", x.Name)
			ok = false
		case x.Limit > 0 && x.Ratio > x.Limit:
			fmt.Fprintf(out, "ABOVE THE LIMIT %s: %.2f, at most %.2f\n", x.Name, x.Ratio, x.Limit)
			ok = false
		}
	}
	if ok {
		fmt.Fprintln(out, "all limits kept")
	}
	return ok
}

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
		slices.SortFunc(p.Phases, func(x, y phase) int {
			switch {
			case x.Start < y.Start:
				return -1
			case x.Start > y.Start:
				return 1
			}
			return 0
		})
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
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var trace struct {
		TraceEvents []struct {
			Name     string  `json:"name"`
			Start    float64 `json:"ts"`
			Duration float64 `json:"dur"`
		} `json:"traceEvents"`
	}
	if err := json.Unmarshal(data, &trace); err != nil {
		return fmt.Errorf("trace of %s: %w", t.name, err)
	}
	for _, e := range trace.TraceEvents {
		m.starts[e.Name] = append(m.starts[e.Name], e.Start/1000)
		m.durations[e.Name] = append(m.durations[e.Name], e.Duration/1000)
	}
	return nil
}

func printPhases(out io.Writer, all []phases) {
	for _, p := range all {
		fmt.Fprintf(out, "\nphases of pod %s (ms)\n%-20s %8s %8s\n", p.Command, "phase", "begins", "takes")
		for _, x := range p.Phases {
			fmt.Fprintf(out, "%-20s %8.1f %8.2f\n", x.Name, x.Start, x.Duration)
		}
	}
}

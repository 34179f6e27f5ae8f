package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// report is what a run has found; the JSON file holds all of it.
type report struct {
	head    `json:"head"`
	Results []result `json:"results"`
	Phases  []phases `json:"phases"`
	// Starts are what the picture is made of.
	Starts []start `json:"starts,omitempty"`
}

// head is when and on what.
type head struct {
	Time    time.Time `json:"time"`
	Machine string    `json:"machine"`
	Tools   string    `json:"tools"`
	Rounds  int       `json:"rounds"`
}

// write puts the report into a file: one line for each result, so that two of them
// can be compared, and no more digits than mean something.
func (r *report) write(path string) error {
	var out bytes.Buffer
	var errs []error
	add := func(before string, x any, after string) {
		data, err := json.Marshal(x)
		errs = append(errs, err)
		fmt.Fprintf(&out, "%s%s%s\n", before, data, after)
	}
	add("{\"head\":", r.head, ",\n\"results\":[")
	for i, x := range r.Results {
		add("", x.rounded(), comma(i, len(r.Results)))
	}
	add("],\"phases\":", r.Phases, ",")
	add("\"starts\":", r.Starts, "}")
	return errors.Join(append(errs, os.WriteFile(path, out.Bytes(), 0o600))...)
}

func comma(i, n int) string {
	if i == n-1 {
		return ""
	}
	return ","
}

func readReport(path string) (*report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

// rounded is the result with tenths, or three digits of what is smaller.
func (r result) rounded() result {
	samples, medians := map[string][]float64{}, map[string]float64{}
	for name, values := range r.Samples {
		for _, x := range values {
			samples[name] = append(samples[name], round(x))
		}
	}
	for name, x := range r.Medians {
		medians[name] = round(x)
	}
	r.Samples, r.Medians = samples, medians
	r.Ratio = math.Round(r.Ratio*1e4) / 1e4
	return r
}

func round(x float64) float64 {
	unit := 10.0
	if x > 0 && x < 10 {
		unit = math.Pow(10, 2-math.Floor(math.Log10(x)))
	}
	return math.Round(x*unit) / unit
}

const rowFormat = "%-38s %-7s %9s %9s %9s %7s %7s\n"

func printHead(out io.Writer) {
	fmt.Fprintf(out, rowFormat, "case", "unit", "pod", "podman", "buildah", "ratio", "limit")
}

func printRow(out io.Writer, r result) {
	if r.Error != "" {
		fmt.Fprintf(out, "%-38s failed: %s\n", r.Name, r.Error)
		return
	}
	third := "-"
	if median, ok := r.Medians[buildahName]; ok {
		third = value(median)
	}
	fmt.Fprintf(out, rowFormat, r.Name, r.Unit, value(r.Medians[podName]), value(r.Medians[podmanName]), third,
		number(r.Ratio, 2), bound(r.Limit))
}

// value shows a measured value: tenths, and more of a small one.
func value(x float64) string {
	if x < 10 {
		return number(x, 2)
	}
	return number(x, 1)
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
	ok := len(r.Results) > 0
	fmt.Fprintln(out)
	if !ok {
		fmt.Fprintln(out, "nothing was measured")
	}
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

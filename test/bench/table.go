package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The table of a page is between these lines.
const (
	tableBegin = "<!-- made by make bench-page -->\n"
	tableEnd   = "<!-- end of what is made -->\n"
)

// table writes a Markdown table of several runs: their machines, the medians of the
// first, and the ratio of each.
func table(files []string, page string, out io.Writer) error {
	if len(files) == 0 {
		return errors.New("-table needs the files that -json has written")
	}
	var runs []*report
	for _, file := range files {
		r, err := readReport(file)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	text := markdown(runs)
	if page == "" {
		_, err := io.WriteString(out, text)
		return err
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	made, err := insert(string(old), text)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(made), 0o644) //nolint:gosec // a page for everybody
}

// insert puts the text in the place of the made part of a page.
func insert(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, tableBegin)
	_, after, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		return "", fmt.Errorf("the lines %q and %q are missing", strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	return before + tableBegin + text + tableEnd + after, nil
}

func markdown(runs []*report) string {
	var b strings.Builder
	for i, r := range runs {
		fmt.Fprintf(&b, "%d. %s, %d rounds; %s\n", i+1, r.Time.Format("2 January 2006 15:04 UTC"), r.Rounds, r.Machine)
	}
	fmt.Fprintf(&b, "\n%s.\n\n| case | unit | pod | podman |", runs[0].Tools)
	for i := range runs {
		fmt.Fprintf(&b, " ratio %d |", i+1)
	}
	fmt.Fprintf(&b, " at most |\n|%s\n", strings.Repeat("---|", 5+len(runs)))
	for _, name := range names(runs) {
		row(&b, name, runs)
	}
	return b.String()
}

// names are those of all cases, in the order in which they were measured.
func names(runs []*report) []string {
	var all []string
	seen := map[string]bool{}
	for _, r := range runs {
		for _, x := range r.Results {
			if !seen[x.Name] {
				seen[x.Name] = true
				all = append(all, x.Name)
			}
		}
	}
	return all
}

func row(b *strings.Builder, name string, runs []*report) {
	var first *result
	var ratios strings.Builder
	for _, r := range runs {
		x := r.find(name)
		switch {
		case x == nil:
			ratios.WriteString("  |")
			continue
		case x.Error != "":
			ratios.WriteString(" failed |")
			continue
		case x.Limit > 0 && x.Ratio > x.Limit:
			fmt.Fprintf(&ratios, " **%.2f** |", x.Ratio)
		default:
			fmt.Fprintf(&ratios, " %s |", small(x.Ratio))
		}
		if first == nil {
			first = x
		}
	}
	if first == nil {
		fmt.Fprintf(b, "| %s | | | |%s |\n", name, ratios.String())
		return
	}
	limit := ""
	if first.Limit > 0 {
		limit = number(first.Limit, 2)
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s |%s %s |\n", name, first.Unit,
		value(first.Medians[podName]), value(first.Medians[podmanName]), ratios.String(), limit)
}

// small is a ratio; one that would be 0.00 says more than that.
func small(x float64) string {
	if x < 0.005 {
		return "< 0.01"
	}
	return number(x, 2)
}

func (r *report) find(name string) *result {
	for i := range r.Results {
		if r.Results[i].Name == name {
			return &r.Results[i]
		}
	}
	return nil
}

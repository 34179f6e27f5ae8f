package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// limit is how many times the recorded number a command may take.
const limit = 1.10

var errNothingRecorded = errors.New("nothing is recorded for this architecture; make instructions-update adds it")

// records are the numbers of all architectures.
type records []record

// record is what was counted one day.
type record struct {
	Date string `json:"date"`
	toolchain
	Commands []recorded `json:"commands"`
}

type recorded struct {
	Name         string `json:"name"`
	Instructions int64  `json:"instructions"`
	// Packages are those with a share worth naming.
	Packages map[string]int64 `json:"packages"`
}

func load(path string) (records, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all records
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// of is the record for a toolchain's architecture, or nil.
func (r records) of(t toolchain) *record {
	i := slices.IndexFunc(r, func(x record) bool { return x.Arch == t.Arch })
	if i < 0 {
		return nil
	}
	return &r[i]
}

// source is where counts come from.
type source interface {
	count(ctx context.Context, what command) (*profile, error)
	toolchain() toolchain
}

func (c *counter) toolchain() toolchain { return c.with }

// check compares each command with what is recorded. One that is above is counted
// again: what the machine did meanwhile only adds.
func check(ctx context.Context, want *record, from source, out io.Writer) error {
	if want == nil {
		return errNothingRecorded
	}
	var failed []string
	for _, c := range commands() {
		i := slices.IndexFunc(want.Commands, func(r recorded) bool { return r.Name == c.name })
		if i < 0 {
			return fmt.Errorf("nothing is recorded for pod %s: run make instructions-update", c.name)
		}
		before := want.Commands[i]
		var least *profile
		for try := 0; try < 3 && (least == nil || above(least.total, before.Instructions)); try++ {
			p, err := from.count(ctx, c)
			if err != nil {
				return err
			}
			if least == nil || p.total < least.total {
				least = p
			}
		}
		percent := 100*float64(least.total)/float64(before.Instructions) - 100
		fmt.Fprintf(out, "pod %-8s %6.2f million instructions, %6.2f recorded: %+.1f %%\n", c.name, millions(least.total), millions(before.Instructions), percent)
		switch {
		case above(least.total, before.Instructions):
			failed = append(failed, c.name)
			explain(out, least.grown(before.Packages))
		case above(before.Instructions, least.total):
			fmt.Fprintln(out, "    so much less should be recorded: make instructions-update")
		}
	}
	if failed == nil {
		return nil
	}
	return errors.New(verdict(failed, want, from.toolchain()))
}

func above(now, before int64) bool { return float64(now) > limit*float64(before) }

func millions(n int64) float64 { return float64(n) / 1e6 }

func explain(out io.Writer, grown []change) {
	for _, g := range grown {
		fmt.Fprintf(out, "    grew: %-40s %6.2f to %6.2f million, now most in %s\n", g.name, millions(g.before), millions(g.now), strings.Join(g.top, ", "))
	}
}

// verdict says what to do.
func verdict(failed []string, want *record, now toolchain) string {
	text := fmt.Sprintf("FAILED: more than %.0f %% above what was recorded on %s: pod %s.", 100*limit-100, want.Date, strings.Join(failed, ", pod "))
	if now != want.toolchain {
		text += fmt.Sprintf("\nRecorded with %s; this is %s. Check out the last commit of test/instructions/recorded.json and run"+
			" make instructions: if that fails too, it is the toolchain, and make instructions-update records it.", want.toolchain, now)
	}
	return text + "\nIf the growth is worth it: make instructions-update, and the commit says what it buys."
}

// update counts each command five times and prints the records with the medians.
func (c *counter) update(ctx context.Context, all records, out io.Writer) error {
	now := record{Date: time.Now().UTC().Format(time.DateOnly), toolchain: c.with}
	for _, what := range commands() {
		var tries []*profile
		for range 5 {
			p, err := c.count(ctx, what)
			if err != nil {
				return err
			}
			tries = append(tries, p)
		}
		now.Commands = append(now.Commands, summarize(what.name, tries))
	}
	all = slices.DeleteFunc(all, func(x record) bool { return x.Arch == now.Arch })
	e := json.NewEncoder(out)
	e.SetIndent("", " ")
	return e.Encode(append(all, now))
}

// summarize takes the profile of median length and leaves out small packages.
func summarize(name string, tries []*profile) recorded {
	slices.SortFunc(tries, func(x, y *profile) int { return int(x.total - y.total) })
	fmt.Fprintf(os.Stderr, "pod %s: %.2f to %.2f million\n", name, millions(tries[0].total), millions(tries[len(tries)-1].total))
	median := tries[len(tries)/2]
	r := recorded{Name: name, Instructions: median.total, Packages: median.packages()}
	for pkg, n := range r.Packages {
		if n < median.total/worth {
			delete(r.Packages, pkg)
		}
	}
	return r
}

// Command bench measures pod beside podman, on one machine and in one run: the
// two take turns, so that both see the same load. It prints medians and their
// ratio, and where one start of a container spends its time.
//
// It runs as an ordinary user with nothing else going on; `make bench` starts
// it in the test host. See docs/performance.md for how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
)

type options struct {
	rounds  int
	only    string
	quick   bool
	check   bool
	json    string
	svg     string
	table   bool
	page    string
	dir     string
	pod     string
	buildah string
	podman  string
}

func main() {
	if asked, err := inside(os.Args); asked {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 20, "rounds of each case")
	flag.StringVar(&o.only, "only", "", "only the cases that match this `regexp`")
	flag.BoolVar(&o.quick, "quick", false, "5 rounds, and nothing with 1000 containers")
	flag.BoolVar(&o.check, "check", false, "exit 1 when a ratio is above its limit")
	flag.StringVar(&o.json, "json", "", "write all samples to this `file`")
	flag.StringVar(&o.svg, "svg", "", "draw one start of each tool into this `file`")
	flag.BoolVar(&o.table, "table", false, "measure nothing: print the table of the runs whose -json files are the arguments")
	flag.StringVar(&o.page, "page", "", "with -table: put it into this `file` in the place of the one that is there")
	flag.StringVar(&o.dir, "dir", "", "scratch `directory` on a real disk, made and removed (default ~/pod-bench)")
	flag.StringVar(&o.pod, "pod", "pod", "the pod to measure")
	flag.StringVar(&o.podman, "podman", "podman", "the podman to compare with")
	flag.StringVar(&o.buildah, "buildah", "buildah", "the buildah to compare with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if o.table {
		if err := table(flag.Args(), o.page, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			stop()
			os.Exit(1)
		}
		return
	}
	ok, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || (o.check && !ok) {
		stop()
		os.Exit(1)
	}
}

// run measures everything and reports whether all limits were kept.
func run(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return false, fmt.Errorf("-only: %w", err)
	}
	if o.quick {
		o.rounds = min(o.rounds, 5)
	}
	if o.dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return false, err
		}
		o.dir = filepath.Join(home, "pod-bench")
	}
	if err := os.Mkdir(o.dir, 0o700); err != nil {
		return false, fmt.Errorf("scratch directory: %w", err)
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, b.close(context.WithoutCancel(ctx))) }()
	// First, since some cases fill the store.
	if b.report.Phases, err = b.phases(ctx, min(o.rounds, 10)); err != nil {
		return false, err
	}
	if o.svg != "" {
		if err := b.picture(ctx, o.svg, min(o.rounds, 9)); err != nil {
			return false, err
		}
	}
	fmt.Fprintf(out, "%s\n%s\n\n", b.report.Machine, b.report.Tools)
	printHead(out)
	for _, c := range b.cases() {
		if !only.MatchString(c.name) || (o.quick && c.slow) {
			continue
		}
		results, err := b.measure(ctx, c)
		if err != nil {
			return false, err
		}
		for _, r := range results {
			printRow(out, r)
		}
		b.report.Results = append(b.report.Results, results...)
	}
	printPhases(out, b.report.Phases)
	if o.json != "" {
		if err := b.report.write(o.json); err != nil {
			return false, err
		}
	}
	return b.report.verdict(out), nil
}

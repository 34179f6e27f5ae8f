// Package main turns the event streams of go test into what a person reads:
// one line for each package or script, the output of what failed, and counts.
//
//	go test -json ./... | summary -save unit.counts     reads events
//	go test -json ./... | summary -again unit.counts    runs of what failed before
//	summary -total unit.counts e2e.counts               adds up what was saved
//
// A test counts once: one with subtests counts as these.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

func main() {
	save := flag.String("save", "", "write the counts to `FILE`")
	each := flag.Bool("each", false, "print a line for each test, not for each package")
	again := flag.String("again", "", "the tests failed before, by the counts in `FILE`: take from its failed what passes now, as unsteady")
	total := flag.Bool("total", false, "add up the count files given as arguments")
	flag.Parse()
	var sum *counts
	var err error
	if *total {
		sum, err = addUp(flag.Args())
	} else {
		sum, err = report(os.Stdin, os.Stdout, *each)
		if err == nil && *save != "" {
			err = sum.save(*save)
		}
		if err == nil && *again != "" {
			err = mend(*again, sum)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
	}
	if *total {
		for _, name := range sum.failed {
			fmt.Fprintln(os.Stdout, "failed:", name)
		}
		for _, name := range sum.unsteady {
			fmt.Fprintln(os.Stdout, "unsteady: failed once, passed alone:", name)
		}
		fmt.Fprintln(os.Stdout, sum)
	}
	if err != nil || sum.Failed > 0 || sum.Passed == 0 {
		os.Exit(1)
	}
}

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// name is that of a test and its package.
func (e *event) name() string { return e.Test + " " + e.Package }

type counts struct {
	Passed, Failed, Skipped int
	// passed and failed are names of tests with their packages; unsteady are those that failed once, and
	// passed when they were run again.
	passed, failed, unsteady []string
}

func (c *counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

func (c *counts) add(o *counts) {
	c.Passed += o.Passed
	c.Failed += o.Failed
	c.Skipped += o.Skipped
	c.failed = append(c.failed, o.failed...)
	c.unsteady = append(c.unsteady, o.unsteady...)
}

// save writes the counts, and a line for each name that matters later.
func (c *counts) save(file string) error {
	var b strings.Builder
	fmt.Fprintln(&b, c)
	for _, name := range c.failed {
		fmt.Fprintln(&b, "failed", name)
	}
	for _, name := range c.unsteady {
		fmt.Fprintln(&b, "unsteady", name)
	}
	return os.WriteFile(file, []byte(b.String()), 0o600)
}

func read(file string) (*counts, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	first, rest, _ := strings.Cut(string(data), "\n")
	c := &counts{}
	if _, err := fmt.Sscanf(first, "%d passed, %d failed, %d skipped", &c.Passed, &c.Failed, &c.Skipped); err != nil {
		return nil, err
	}
	for line := range strings.Lines(rest) {
		kind, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch kind {
		case "failed":
			c.failed = append(c.failed, name)
		case "unsteady":
			c.unsteady = append(c.unsteady, name)
		}
	}
	return c, nil
}

// mend takes what failed by the counts in file, and passed again, from its failed.
func mend(file string, again *counts) error {
	first, err := read(file)
	if err != nil {
		return err
	}
	failed := first.failed
	first.failed = nil
	for _, name := range failed {
		if !slices.Contains(again.passed, name) {
			first.failed = append(first.failed, name)
			continue
		}
		first.unsteady = append(first.unsteady, name)
		first.Passed++
		first.Failed--
	}
	return first.save(file)
}

// addUp reads saved counts. A missing file is a part that did not run to its
// end: it counts as a failure and is named.
func addUp(files []string) (*counts, error) {
	sum := &counts{}
	var errs []error
	for _, file := range files {
		c, err := read(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: no result: %w", file, err))
			c = &counts{Failed: 1, failed: []string{file}}
		}
		sum.add(c)
	}
	return sum, errors.Join(errs...)
}

// reporter follows the tests of a stream.
type reporter struct {
	out  io.Writer
	each bool
	sum  *counts
	// output of tests and packages that have not ended, and of builds
	output, builds map[string][]string
	// parents are tests that have subtests; go test ends them after these.
	parents map[string]bool
	pkg     map[string]*counts
}

// report reads events from in until its end. Lines that are no events (a
// linker's warning, a crash of the test binary's host) are passed on.
func report(in io.Reader, out io.Writer, each bool) (*counts, error) {
	r := &reporter{
		sum: &counts{}, out: out, each: each, output: map[string][]string{}, builds: map[string][]string{},
		parents: map[string]bool{}, pkg: map[string]*counts{},
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r.sum, fmt.Errorf("read test events: %w", err)
		}
	}
	r.unfinished()
	return r.sum, nil
}

func (r *reporter) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(r.out, line)
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "run":
		r.output[key] = []string{}
		for parent := path.Dir(e.Test); parent != "." && parent != "/"; parent = path.Dir(parent) {
			r.parents[e.Package+" "+parent] = true
		}
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "build-output":
		r.builds[e.ImportPath] = append(r.builds[e.ImportPath], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e, key)
		} else {
			r.endTest(e, key)
		}
		delete(r.output, key)
	}
}

func (r *reporter) endTest(e event, key string) {
	if r.parents[key] {
		// Its subtests say it all, unless it failed by itself.
		if e.Action == "fail" && r.pkgCounts(e.Package).Failed == 0 {
			r.count(e)
			r.show(r.output[key])
		}
		return
	}
	r.count(e)
	if r.each {
		fmt.Fprintf(r.out, "%-4s %s (%.1fs)\n", e.Action, strings.TrimPrefix(e.Test, "TestScripts/"), e.Elapsed)
	}
	switch {
	case e.Action == "fail":
		if !r.each {
			fmt.Fprintf(r.out, "fail %s %s\n", e.Package, e.Test)
		}
		r.show(r.output[key])
	case e.Action == "skip" && r.each:
		r.showReason(key)
	}
}

// endPackage prints the package's line. A package that fails without a failed
// test did not compile or did not start: that counts as one failure.
func (r *reporter) endPackage(e event, key string) {
	c := r.pkgCounts(e.Package)
	if e.Action == "fail" && c.Failed == 0 {
		c.Failed++
		r.sum.Failed++
		r.sum.failed = append(r.sum.failed, e.Package)
		r.show(r.builds[e.FailedBuild])
		r.show(r.output[key])
	}
	if c.Passed+c.Failed+c.Skipped > 0 {
		fmt.Fprintf(r.out, "%-4s %s: %s (%.1fs)\n", e.Action, e.Package, c, e.Elapsed)
	}
}

// unfinished counts tests whose end never came: the binary died under them.
func (r *reporter) unfinished() {
	keys := make([]string, 0, len(r.output))
	for key := range r.output {
		pkg, test, _ := strings.Cut(key, " ")
		if test != "" && !r.parents[key] {
			keys = append(keys, key)
			r.pkgCounts(pkg).Failed++
			r.sum.Failed++
			r.sum.failed = append(r.sum.failed, (&event{Package: pkg, Test: test}).name())
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Fprintf(r.out, "fail %s (did not end)\n", key)
		r.show(r.output[key])
	}
}

func (r *reporter) pkgCounts(pkg string) *counts {
	if r.pkg[pkg] == nil {
		r.pkg[pkg] = &counts{}
	}
	return r.pkg[pkg]
}

func (r *reporter) count(e event) {
	for _, c := range []*counts{r.sum, r.pkgCounts(e.Package)} {
		switch e.Action {
		case "pass":
			c.Passed++
			c.passed = append(c.passed, e.name())
		case "fail":
			c.Failed++
			c.failed = append(c.failed, e.name())
		case "skip":
			c.Skipped++
		}
	}
}

// show prints what a test or build wrote, without go test's own frame.
func (r *reporter) show(lines []string) {
	for _, line := range lines {
		if !isFrame(line) {
			fmt.Fprint(r.out, "    ", line)
		}
	}
}

// showReason prints the line that says why a test was skipped.
func (r *reporter) showReason(key string) {
	for _, line := range r.output[key] {
		if _, reason, ok := strings.Cut(line, "skip: "); ok {
			fmt.Fprint(r.out, "     ", reason)
		}
	}
}

func isFrame(line string) bool {
	line = strings.TrimLeft(line, " ")
	for _, prefix := range []string{"=== ", "--- ", "PASS", "FAIL\t", "ok  \t"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bench is one run: two tools and what they work on.
type bench struct {
	dir, runDir string
	self        string // this program, which containers run too
	tools       []*tool
	registry    *httptest.Server
	image, bulk string // references
	layers      string // the reference of the image that pulls() makes
	many        string // and of the one that userns() makes
	filled      map[string]int
	empty       map[string]*tool // the tools with another store, see makeEmpty
	rounds      int
	report      report
}

// result is one case as it was measured.
type result struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Limit float64 `json:"limit,omitempty"`
	// Samples by tool, in the order they were taken.
	Samples map[string][]float64 `json:"samples"`
	Medians map[string]float64   `json:"medians"`
	// Ratio is pod's median over podman's, or with Own pod's median itself.
	Ratio float64 `json:"ratio"`
	Own   bool    `json:"own,omitempty"`
	// Error says why there is no ratio.
	Error string `json:"error,omitempty"`
}

// The tools' names, which also name their directories.
const (
	podName    = "pod"
	podmanName = "podman"
	// buildah takes part in builds, if it is there.
	buildahName = "buildah"
)

func newBench(ctx context.Context, o options) (*bench, error) {
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		return nil, errors.New("XDG_RUNTIME_DIR is not set: run bench in a login session")
	}
	b := &bench{dir: o.dir, runDir: filepath.Join(run, "pod-bench"), rounds: o.rounds, filled: map[string]int{}, empty: map[string]*tool{}}
	for name, path := range map[string]string{podName: o.pod, podmanName: o.podman, buildahName: o.buildah} {
		t, err := newTool(name, path, b.dir, b.runDir)
		if name == buildahName && errors.Is(err, exec.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b.tools = append(b.tools, t)
		if name != podName {
			if err := t.configure(filepath.Join(b.dir, "podman.conf")); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(b.tools, func(x, y *tool) int { return strings.Compare(x.name, y.name) })
	var err error
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.registry, b.image, b.bulk, err = startRegistry(ctx); err != nil {
		return nil, err
	}
	b.report = report{head: head{Time: time.Now().UTC().Truncate(time.Second), Machine: machine(), Rounds: o.rounds}}
	for _, t := range b.tools {
		b.report.Tools += t.version(ctx) + "; "
		if _, err := t.run(ctx, "pull", "-q", "--tls-verify=false", b.image); err != nil {
			return nil, errors.Join(err, b.close(ctx))
		}
		if t.name == buildahName {
			continue
		}
		// Caches of the first run (namespaces, filters) are not what is measured.
		if _, err := t.run(ctx, "run", "--rm", b.image, "true"); err != nil {
			return nil, errors.Join(err, b.close(ctx))
		}
	}
	b.report.Tools += runtimes()
	return b, nil
}

// close removes everything. Files of other owners go in the user namespace.
func (b *bench) close(ctx context.Context) error {
	b.registry.Close()
	var errs []error
	for _, t := range slices.Concat(slices.Collect(maps.Values(b.empty)), b.tools) {
		if b.filled[t.name] == 0 && t.name != buildahName {
			_, err := t.run(ctx, "rm", "-a", "-f", "-t", "0")
			errs = append(errs, err)
		}
		// overlay mounts its own directory; the mount is only seen inside.
		_, err := t.run(ctx, "unshare", "sh", "-c", `umount -l "$1/overlay" 2>/dev/null; rm -rf "$1" "$2"`, "sh", t.root, t.runRoot)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir), os.RemoveAll(b.runDir))...)
}

// machine says in one line what it runs on.
func machine() string {
	model := "unknown CPU"
	data, _ := os.ReadFile("/proc/cpuinfo") // only a description
	cpus := 0
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			cpus++
		}
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%d x %s, Linux %s, load %s", cpus, model, strings.TrimSpace(string(release)), one)
}

// runtimes names the programs that both tools use.
func runtimes() string {
	var names []string
	for _, command := range [][]string{
		{"crun", "--version"},
		{"conmon", "--version"},
		{"dpkg-query", "-W", "-f=passt ${Version}", "passt"}, // pasta tells only a terminal
	} {
		out, err := exec.Command(command[0], command[1:]...).Output() //nolint:noctx // a version
		line, _, _ := strings.Cut(string(out), "\n")
		if err == nil && line != "" {
			names = append(names, line)
		}
	}
	return strings.Join(names, "; ")
}

// measure does all rounds of a case, the tools taking turns. What only one of
// them cannot do ends the case and not the run.
func (b *bench) measure(ctx context.Context, c spec) ([]result, error) {
	r := result{
		Name: c.name, Unit: c.unit, Limit: c.limit, Own: c.own,
		Samples: map[string][]float64{}, Medians: map[string]float64{},
	}
	if r.Unit == "" {
		r.Unit = "ms"
	}
	err := b.allRounds(ctx, c, &r)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		r.Error = err.Error()
		return []result{r}, nil //nolint:nilerr // it is part of the result
	}
	for name, samples := range r.Samples {
		r.Medians[name] = median(samples)
	}
	if r.Ratio = r.Medians[podName]; !c.own {
		r.Ratio /= r.Medians[podmanName]
	}
	return []result{r}, nil
}

func (b *bench) allRounds(ctx context.Context, c spec, r *result) error {
	tools := b.tools
	if !c.peers {
		tools = slices.DeleteFunc(slices.Clone(tools), func(t *tool) bool { return t.name == buildahName })
	}
	for _, t := range tools {
		if c.setup != nil {
			if err := c.setup(ctx, t); err != nil {
				return err
			}
		}
		if c.teardown != nil {
			defer func() { _ = c.teardown(context.WithoutCancel(ctx), t) }() // the error that matters came before
		}
	}
	rounds := b.rounds
	if c.rounds > 0 {
		rounds = min(rounds, c.rounds)
	}
	for round := range rounds {
		turn := slices.Clone(tools)
		if round%2 == 1 {
			slices.Reverse(turn)
		}
		for _, t := range turn {
			value, err := b.sample(ctx, c, t, "bench"+strconv.Itoa(round))
			if err != nil {
				return err
			}
			r.Samples[t.name] = append(r.Samples[t.name], value)
		}
	}
	return nil
}

// sample is one turn of one tool.
func (b *bench) sample(ctx context.Context, c spec, t *tool, id string) (float64, error) {
	if c.before != nil {
		if err := c.before(ctx, t, id); err != nil {
			return 0, err
		}
	}
	settle(ctx)
	do := c.do
	if do == nil {
		do = func(ctx context.Context, t *tool, id string) (float64, error) { return b.timed(ctx, t, c.args(id)...) }
	}
	value, err := do(ctx, t, id)
	if c.after != nil {
		err = errors.Join(err, c.after(ctx, t, id))
	}
	return value, err
}

// timed is the time of one call in milliseconds.
func (b *bench) timed(ctx context.Context, t *tool, args ...string) (float64, error) {
	elapsed := stopwatch()
	_, err := t.run(ctx, args...)
	return elapsed(), err
}

func stopwatch() func() float64 {
	begin := time.Now()
	return func() float64 { return float64(time.Since(begin)) / float64(time.Millisecond) }
}

// cpu is the CPU time of everything that one call causes, in milliseconds: what
// it leaves behind to clean up, monitors, systemd and the journal included. It
// is read from the cgroup at the root, which in the test host is the host's
// own; elsewhere it is the whole machine, which must be idle then.
func (b *bench) cpu(args ...string) func(context.Context, *tool, string) (float64, error) {
	return func(ctx context.Context, t *tool, _ string) (float64, error) {
		before, own := usage(), ownUsage()
		if math.IsNaN(before) {
			return 0, errors.New("no /sys/fs/cgroup/cpu.stat here")
		}
		if _, err := t.run(ctx, args...); err != nil {
			return 0, err
		}
		settle(ctx)
		return usage() - before - (ownUsage() - own), nil
	}
}

// usage is the CPU time of all processes, in milliseconds; NaN if unknown.
func usage() float64 {
	data, err := os.ReadFile("/sys/fs/cgroup/cpu.stat")
	if err != nil {
		return math.NaN()
	}
	first, _, _ := strings.Cut(string(data), "\n")
	micros, err := strconv.ParseFloat(strings.TrimPrefix(first, "usage_usec "), 64)
	if err != nil {
		return math.NaN()
	}
	return micros / 1000
}

// ownUsage is that of this process alone.
func ownUsage() float64 {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / float64(time.Millisecond)
}

// settle waits until what earlier calls left behind has ended: until nothing
// but this process uses the CPU for two intervals. It gives up after a second.
func settle(ctx context.Context) {
	const interval = 10 * time.Millisecond
	quiet := 0
	for begin := time.Now(); quiet < 2 && time.Since(begin) < time.Second && ctx.Err() == nil; {
		before, own := usage(), ownUsage()
		time.Sleep(interval)
		if used := usage() - before - (ownUsage() - own); used > 0.5 {
			quiet = 0
		} else {
			quiet++
		}
	}
}

func median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// stager stands before the OCI runtime. Each call is noted; the one that the file
// "arm" asks for (VERB NUMBER) is killed by strace as it enters its system call
// of that number. The runtime's container is no child of strace's and goes on, as
// it does when the runtime is killed anywhere.
const stager = `#!/bin/sh
dir=${0%/*} verb=
for arg; do
	case $arg in create | start | exec | kill | delete | state | pause | resume | update) verb=$arg; break ;; esac
done
if [ -e $dir/count ]; then
	exec strace -qq -o $dir/calls.$verb.$$ crun "$@"
fi
read want number 2>/dev/null <$dir/arm || want=
if [ "$want" = "$verb" ] && mv $dir/arm $dir/armed.$$ 2>/dev/null; then
	exec strace -qq -o /dev/null -e inject=all:signal=KILL:when=$number crun "$@"
fi
exec crun "$@"
`

// walkRuntime [-prepare SH] [-after SH] [-verbs RE] [-points N] pod ARGS... kills
// the OCI runtime at N of its system calls, from the first to the last, in each
// call that the command makes of it; $RT is the runtime that prepare is to make
// the containers with. After each kill what walk asks for must hold.
func walkRuntime(ts *testscript.TestScript, neg bool, args []string) {
	w := walker{ts: ts, box: boxOf(ts), codes: map[int]int{}}
	flags := flag.NewFlagSet("walkruntime", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&w.prepare, "prepare", "", "")
	flags.StringVar(&w.after, "after", "", "")
	only := flags.String("verbs", "", "")
	points := flags.Int("points", 6, "")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() < 2 || flags.Arg(0) != "pod" || *points < 2 {
		ts.Fatalf("usage: walkruntime [-prepare SH] [-after SH] [-verbs RE] [-points N] pod ARGS...")
	}
	w.args = flags.Args()[1:]
	dir := filepath.Join(w.box.base, "runtime")
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "crun"), []byte(stager), 0o755))
	ts.Setenv("RT", filepath.Join(dir, "crun"))

	calls := w.countCalls(dir, regexp.MustCompile(*only))
	if len(calls) == 0 {
		ts.Fatalf("the command calls no runtime")
	}
	w.clean = w.settled(nil)
	var failed []string
	kills := 0
	for verb, total := range calls {
		for i := range *points {
			number := 1 + i*(total-1)/(*points-1)
			kills++
			if err := w.tryRuntime(dir, verb, number); err != nil {
				failed = append(failed, fmt.Sprintf("%s, call %d of %d: %v", verb, number, total, err))
				w.forgive(failed)
			}
		}
	}
	ts.Logf("the runtime was killed %d times in %v; how often pod ended with which code: %v", kills, calls, w.codes)
	if len(failed) > 0 {
		ts.Fatalf("%d of %d kills did harm:\n%s", len(failed), kills, strings.Join(failed, "\n"))
	}
}

// countCalls runs the command undisturbed and returns how many system calls each
// verb of the runtime takes in it.
func (w *walker) countCalls(dir string, only *regexp.Regexp) map[string]int {
	w.shell(w.prepare)
	w.ts.Check(os.WriteFile(filepath.Join(dir, "count"), nil, 0o600))
	_, err := exitCode(w.ts.Exec("pod", w.args...))
	w.ts.Check(errors.Join(err, os.Remove(filepath.Join(dir, "count"))))
	w.ts.Check(w.alive()) // makes files that stay
	w.ts.Check(w.ts.Exec("pod", "rm", "-afv", "-t", "0"))
	calls := map[string]int{}
	files, _ := filepath.Glob(filepath.Join(dir, "calls.*"))
	for _, file := range files {
		verb := strings.Split(filepath.Base(file), ".")[1]
		data, err := os.ReadFile(file)
		w.ts.Check(errors.Join(err, os.Remove(file)))
		if n := strings.Count(string(data), "\n"); only.MatchString(verb) {
			calls[verb] = max(n-1, 2) // the last line says how it ended
		}
	}
	return calls
}

// tryRuntime runs the command and kills the runtime at one system call of it.
func (w *walker) tryRuntime(dir, verb string, number int) error {
	w.shell(w.prepare)
	arm := filepath.Join(dir, "arm")
	if err := os.WriteFile(arm, fmt.Appendf(nil, "%s %d\n", verb, number), 0o600); err != nil {
		return err
	}
	begin := time.Now()
	code, err := exitCode(w.ts.Exec("pod", w.args...))
	if err != nil {
		return err
	}
	w.codes[code]++
	if took := time.Since(begin); took > hangs {
		return fmt.Errorf("it took %s", took)
	}
	if os.Remove(arm) == nil {
		return errors.New("the runtime was not called, so not killed")
	}
	return w.aftermath()
}

// truthful compares what pod says of its containers with the kernel, which may
// still be at work for a killed process.
func (w *walker) truthful() error {
	err := w.compared()
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); err = w.compared() {
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// compared is one look. A first process that nobody has started is still the runtime's:
// a conmon goes on when the pod that would have started it is killed.
func (w *walker) compared() error {
	out, err := w.box.command("pod", "ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Pid}} {{.State}}")
	if err != nil {
		return err
	}
	members := map[string]int{}
	for _, dir := range w.box.cgroups() {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "pod-"), ".")
		procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for pid := range strings.FieldsSeq(string(procs)) {
			line, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
			if err == nil && !strings.Contains(string(line), "\x00create\x00") {
				members[id]++
			}
		}
	}
	var errs []error
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		id, state := fields[0], fields[2]
		_, gone := os.Stat(filepath.Join("/proc", fields[1]))
		switch {
		case state == "running" && gone != nil:
			errs = append(errs, fmt.Errorf("%.12s is said to run, and does not", id))
		case state == "exited" && members[id] > 0:
			errs = append(errs, fmt.Errorf("%.12s is said to be %s, and %d processes are in its cgroup", id, state, members[id]))
		}
		delete(members, id)
	}
	for id, n := range members {
		if n > 0 {
			errs = append(errs, fmt.Errorf("%.12s is not known, and %d processes are in its cgroup", id, n))
		}
	}
	return errors.Join(errs...)
}

// cgroups finds those of the containers that walk has seen, wherever they are.
func (b *sandbox) cgroups() []string {
	var found []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // it comes and goes
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(d.Name(), "pod-"), ".")
		if b.ids[id] {
			found = append(found, path)
			return filepath.SkipDir
		}
		return nil
	})
	return found
}

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// killVariable names the step before or after which pod kills itself; see
// internal/step.
const killVariable = "POD_TEST_KILL_AT"

// walk [-victim REGEXP] [-prepare SH] [-after SH] [-steps REGEXP] [-min N] pod ARGS... kills the
// command before and after each of its steps. SH are shell scripts: prepare runs
// before each try, after right behind the kill. Behind each kill ps, a run of
// another container and rm -af must work as if nothing had been, and nothing may
// be left of it. Steps are those a trace of the whole command shows; fewer than
// N are an error. With a victim not pod is killed, but the processes of the
// script whose command lines match, while pod is stopped there; pod then goes on,
// and may fail, but must end.
func walk(ts *testscript.TestScript, neg bool, args []string) {
	w := walker{ts: ts, box: boxOf(ts)}
	flags := flag.NewFlagSet("walk", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&w.prepare, "prepare", "", "")
	flags.StringVar(&w.after, "after", "", "")
	victim := flags.String("victim", "", "")
	only := flags.String("steps", "", "")
	least := flags.Int("min", 1, "")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() < 2 || flags.Arg(0) != "pod" {
		ts.Fatalf("usage: walk [-prepare SH] [-after SH] [-steps REGEXP] [-min N] pod ARGS...")
	}
	w.args = flags.Args()[1:]
	if *victim != "" {
		w.victim = regexp.MustCompile(*victim)
	}
	w.trace(regexp.MustCompile(*only)) // makes directories and files that stay
	w.clean = w.settled(nil)
	steps := w.trace(regexp.MustCompile(*only))
	if len(steps) < *least {
		ts.Fatalf("%d steps (%s), want %d at least", len(steps), strings.Join(steps, " "), *least)
	}
	var failed []string
	for _, step := range steps {
		for _, when := range []string{"before:", "after:"} {
			if err := w.try(when + step); err != nil {
				failed = append(failed, fmt.Sprintf("%s%s: %v", when, step, err))
				w.forgive(failed)
			}
		}
	}
	ts.Logf("killed at %d steps: %s", len(steps), strings.Join(steps, " "))
	if w.victim != nil {
		ts.Logf("%d victims killed", w.ended)
	}
	if w.victim != nil && w.ended == 0 {
		ts.Fatalf("no process matched %s at any step", w.victim)
	}
	if len(failed) > 0 {
		ts.Fatalf("%d of %d kills did harm:\n%s", len(failed), 2*len(steps), strings.Join(failed, "\n"))
	}
}

// forgive sees to it that what one kill left is not the next one's fault.
func (w *walker) forgive(errs []string) {
	w.box.killLeft()
	_ = w.ts.Exec("pod", "rm", "-afv", "-t", "0")
	w.clean = w.settled(nil)
	// Behind the script's own time everything fails.
	if err := w.ts.Exec("true"); err != nil {
		w.ts.Fatalf("%v; so far: %v", err, errs)
	}
}

type walker struct {
	ts             *testscript.TestScript
	box            *sandbox
	prepare, after string
	args           []string
	clean          footprint // of the store between tries
	victim         *regexp.Regexp
	ended          int         // victims that were found and killed
	codes          map[int]int // how often the command ended with which code
}

// shell runs a script in the testscript's directory and environment.
func (w *walker) shell(script string) {
	if script != "" {
		w.ts.Check(w.ts.Exec("sh", "-ec", script))
	}
}

// trace runs the command undisturbed and returns the names of its steps.
func (w *walker) trace(only *regexp.Regexp) []string {
	w.shell(w.prepare)
	file := w.ts.MkAbs("walk.trace")
	w.ts.Check(w.ts.Exec("pod", append([]string{"--trace", file}, w.args...)...))
	var doc struct {
		TraceEvents []struct {
			Name  string  `json:"name"`
			Start float64 `json:"ts"`
		} `json:"traceEvents"`
	}
	w.ts.Check(json.Unmarshal([]byte(w.ts.ReadFile(file)), &doc))
	slices.SortStableFunc(doc.TraceEvents, func(a, b struct {
		Name  string  `json:"name"`
		Start float64 `json:"ts"`
	},
	) int {
		return int(a.Start - b.Start)
	})
	var names []string
	for _, e := range doc.TraceEvents {
		if e.Name != "pod" && only.MatchString(e.Name) && !slices.Contains(names, e.Name) {
			names = append(names, e.Name)
		}
	}
	w.shell(w.after)
	w.ts.Check(w.alive())
	w.ts.Check(w.ts.Exec("pod", "rm", "-afv", "-t", "0"))
	if w.clean != nil {
		w.ts.Check(w.settled(w.clean).diff(w.clean))
	}
	return names
}

// kill runs the command so that it is killed at the point. Some steps, of
// cleaning up above all, are taken by whoever comes first: when conmon's exit
// command took this one, it is tried again.
func (w *walker) kill(point string) error {
	for range 10 {
		w.shell(w.prepare)
		w.ts.Setenv(killVariable, point)
		code, err := exitCode(w.ts.Exec("pod", w.args...))
		w.ts.Setenv(killVariable, "")
		if err != nil || code == 128+9 {
			return err
		}
		if code != 0 {
			return fmt.Errorf("exit code %d, not killed: %s", code, strings.TrimSpace(w.ts.ReadFile("stderr")))
		}
		w.ts.Check(w.ts.Exec("pod", "rm", "-afv", "-t", "0"))
	}
	return errors.New("never killed")
}

// killOther runs the command, and ends the victims while it stands at the point.
func (w *walker) killOther(point string) error {
	w.shell(w.prepare)
	note := w.ts.MkAbs("walk.pid")
	_ = os.Remove(note)
	// The shell's pid is pod's. What pod starts inherits the variable, and goes on.
	script := "echo $$ >\"$0\"; export " + killVariable + "=stop:$$:" + point + "; exec pod \"$@\""
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = exitCode(w.ts.Exec("sh", append([]string{"-c", script, note}, w.args...)...))
	}()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		select {
		case <-done:
			return nil
		case <-deadline:
			w.box.killLeft()
			<-done
			return errors.New("it hangs")
		case <-tick.C:
		}
		pid := stopped(note)
		if pid == 0 {
			continue
		}
		for _, p := range append(w.box.processes(), watcher()...) {
			if p.pid != pid && w.victim.MatchString(p.what) {
				w.ended++
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
			}
		}
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
}

// watcher is the user's watcher, if there is one: it belongs to no one script, but
// every script must survive that it is killed.
func watcher() []process {
	line, err := os.ReadFile(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "pod", "watcher.lock"))
	fields := strings.Fields(string(line))
	if err != nil || len(fields) < 3 {
		return nil
	}
	pid, _ := strconv.Atoi(fields[2])
	name, _ := os.ReadFile(filepath.Join("/proc", fields[2], "comm"))
	if pid <= 0 || string(name) != "pod watch\n" {
		return nil
	}
	return []process{{pid, "pod watch"}}
}

// stopped is the pid in the file, if that process is stopped.
func stopped(note string) int {
	line, _ := os.ReadFile(note)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(line)))
	stat, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if pid == 0 || !strings.Contains(string(stat), "(pod) T ") {
		return 0
	}
	return pid
}

// try kills the command at one point and looks at what follows.
func (w *walker) try(point string) error {
	kill := w.kill
	if w.victim != nil {
		kill = w.killOther
	}
	if err := kill(point); err != nil {
		return err
	}
	return w.aftermath()
}

// hangs is what no command takes that waits for nobody, on the slowest machine.
const hangs = 20 * time.Second

// aftermath looks at what follows a kill: ps waits for nobody and tells the truth, another
// run and rm -af work, and nothing is left.
func (w *walker) aftermath() error {
	begin := time.Now()
	if err := w.ts.Exec("pod", "ps", "-a"); err != nil {
		return fmt.Errorf("ps: %w", err)
	}
	if took := time.Since(begin); took > hangs {
		return fmt.Errorf("ps took %s", took)
	}
	if err := w.box.learnIDs(); err != nil {
		return err
	}
	if err := w.truthful(); err != nil {
		return err
	}
	if w.after != "" {
		if err := w.ts.Exec("sh", "-ec", w.after); err != nil {
			return fmt.Errorf("the script after it: %w", err)
		}
	}
	if err := w.alive(); err != nil {
		return err
	}
	if err := w.ts.Exec("pod", "rm", "-afv", "-t", "0"); err != nil {
		return fmt.Errorf("rm -af: %w", err)
	}
	return w.settled(w.clean).diff(w.clean)
}

// alive runs another container.
func (w *walker) alive() error {
	if err := w.ts.Exec("pod", "run", "--rm", "--network", "none", "busybox", "echo", "alive"); err != nil {
		return fmt.Errorf("the next run: %w", err)
	}
	if out := w.ts.ReadFile("stdout"); out != "alive\n" {
		return fmt.Errorf("the next run says %q", out)
	}
	return nil
}

// footprint is everything that a store has on the machine, one string each.
type footprint map[string]bool

// moving says whether a process, or its cgroup, is there still.
func (f footprint) moving() bool {
	for what := range f {
		if strings.HasPrefix(what, "process ") || strings.HasPrefix(what, "cgroup ") {
			return true
		}
	}
	return false
}

// diff says what is more or less than before.
func (f footprint) diff(before footprint) error {
	var errs []error
	for what := range f {
		if !before[what] {
			errs = append(errs, fmt.Errorf("left behind: %s", what))
		}
	}
	for what := range before {
		if !f[what] {
			errs = append(errs, fmt.Errorf("lost: %s", what))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// settled returns the footprint once it is what is wanted, or after a while:
// monitors and network helpers end a little after their container.
func (w *walker) settled(want footprint) footprint {
	for end := time.Now().Add(patience); ; time.Sleep(30 * time.Millisecond) {
		f, err := w.box.footprint()
		w.ts.Check(err)
		quiet := want == nil && !f.moving()
		if quiet || want != nil && f.diff(want) == nil || time.Now().After(end) {
			return f
		}
	}
}

// passing names files that come and go with no meaning: locks of
// containers/storage, write-ahead logs, caches.
var passing = regexp.MustCompile(`(\.lock|/\.tmp-[a-z-]+\.json[0-9]+|/state\.db.*|/run\.db.*|\.tmp|/mountpoints\.json|/reserve(/[0-9]+)?|/pod/used(/[0-9a-f]+)?|/cache/.*|/seccomp/.*|\.pasta-.*|/net/user(/lock)?|/overlay/[a-z-]+(\(.*\))?-(true|false))$`)

func (b *sandbox) footprint() (footprint, error) {
	f := footprint{}
	for _, p := range b.processes() {
		f["process "+p.what] = true
	}
	// Inside, where sub-ids are readable and the mounts are.
	script := `cat /proc/self/mountinfo; echo ==; cd "$1"; find "$2" "$1/root" "$1/tmp" \
		-path "$1/root/overlay/*/*/*" -prune -o -path "*/merged/*" -prune -o -type l -printf '%p -> %l\n' -o -print 2>/dev/null; echo ==
		find "${XDG_RUNTIME_DIR:-/nowhere}/netns" -type f 2>/dev/null; true`
	out, err := b.command("pod", "unshare", "sh", "-c", script, "sh", b.base, b.runRoot)
	if err != nil {
		return nil, err
	}
	parts := strings.SplitN(string(out), "==\n", 3)
	word := filepath.Base(b.base)
	for line := range strings.Lines(parts[0]) {
		fields := strings.Fields(line)
		if strings.Contains(line, word) && fields[4] != filepath.Join(b.base, "root", "overlay") {
			f["mount "+fields[4]] = true
		}
	}
	for line := range strings.Lines(parts[1]) {
		if path := strings.TrimSpace(line); !passing.MatchString(path) {
			f["file "+path] = true
		}
	}
	for line := range strings.Lines(parts[2]) {
		if id := filepath.Base(strings.TrimSpace(line)); b.ids[id] {
			f["network namespace "+id] = true
		}
	}
	for _, dir := range b.cgroups() {
		f["cgroup "+dir] = true
	}
	for id := range b.ids {
		jobs, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "pod", "timers", "*"+id+"*"))
		for _, job := range jobs {
			f["job "+job] = true
		}
	}
	return f, b.rows(f)
}

// learnIDs notes the ids of the containers there are, to find by them what has
// no word of the sandbox in its name.
func (b *sandbox) learnIDs() error {
	out, err := b.command("pod", "ps", "-aq", "--no-trunc")
	for id := range strings.FieldsSeq(string(out)) {
		if b.ids == nil {
			b.ids = map[string]bool{}
		}
		b.ids[id] = true
	}
	return err
}

// rows adds what the state files hold, if there is a program to read them.
func (b *sandbox) rows(f footprint) error {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		return nil //nolint:nilerr // ps and the files say most of it
	}
	run, _ := filepath.Glob(filepath.Join(b.runRoot, "pod", "*", "run.db"))
	files := append(run, filepath.Join(b.base, "root", "pod", "state.db"))
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			continue
		}
		out, err := b.command("sqlite3", "-cmd", ".timeout 5000", file,
			"select name from sqlite_schema where type = 'table'")
		if err != nil {
			return err
		}
		for table := range strings.FieldsSeq(string(out)) {
			if table == "boot" {
				continue
			}
			rows, err := b.command("sqlite3", "-cmd", ".timeout 5000", file, "select * from "+table)
			if err != nil {
				return err
			}
			for row := range strings.Lines(string(rows)) {
				f["row of "+table+": "+strings.TrimSpace(row)] = true
			}
		}
	}
	return nil
}

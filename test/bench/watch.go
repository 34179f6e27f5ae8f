package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// interval is that between two looks at the processes. One look takes a tenth of
// it or two, on a thread of its own.
const interval = 500 * time.Microsecond

// start is one run of a command as it was seen from outside. Times are in ms from
// just before the command was started.
type start struct {
	Tool    string `json:"tool"`
	Command string `json:"command"`
	// Elapsed is when the command returned; what it leaves behind ends later.
	Elapsed   float64   `json:"elapsed_ms"`
	Processes []process `json:"processes"`
	// Phases are the command's own account of the same run, where it gives one.
	Phases []phase `json:"phases,omitempty"`
}

// process is one of the command's, its begin and end known to an interval. What
// lives for less than that may be missing.
type process struct {
	PID    int     `json:"pid"`
	Parent int     `json:"parent"`
	Begin  float64 `json:"begin_ms"`
	End    float64 `json:"end_ms"`
	// Programs are what it was: a process executes others.
	Programs []program `json:"programs"`
}

type program struct {
	Name  string  `json:"name"`
	Begin float64 `json:"begin_ms"`
}

// starts watches runs of the same command by pod and podman, in turns, and returns
// for each tool the one of median length.
func (b *bench) starts(ctx context.Context, rounds int) ([]start, error) {
	// Orphans become this process' children then, and not those of systemd, so that
	// all that a command leaves behind is found below this process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become a subreaper: %w", err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	runs := map[string][]start{}
	for range rounds {
		for _, t := range b.tools {
			if t.name == buildahName {
				continue
			}
			settle(ctx)
			s, err := b.watch(ctx, t, "run", "--rm", b.image, "true")
			if err != nil {
				return nil, err
			}
			s.Command = t.name + " run --rm IMAGE true"
			runs[t.name] = append(runs[t.name], s)
		}
	}
	var all []start
	for _, name := range []string{podName, podmanName} {
		of := runs[name]
		slices.SortFunc(of, func(x, y start) int { return cmp.Compare(x.Elapsed, y.Elapsed) })
		all = append(all, of[len(of)/2])
	}
	return all, nil
}

// watch runs one command of a tool, until all that it has started has ended.
func (b *bench) watch(ctx context.Context, t *tool, args ...string) (start, error) {
	s := start{Tool: t.name}
	trace := filepath.Join(b.runDir, "trace")
	if t.name == podName {
		args = append([]string{"--trace", trace}, args...)
	}
	cmd := t.command(ctx, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	w := watcher{returned: make(chan struct{}), done: make(chan []process, 1), begin: time.Now()}
	go w.work()
	err := cmd.Run()
	s.Elapsed = w.now()
	close(w.returned)
	s.Processes = <-w.done
	reap()
	if err != nil {
		return s, fmt.Errorf("%s: %w: %s", t.name, err, strings.TrimSpace(errs.String()))
	}
	if t.name == podName {
		if s.Phases, err = tracedSince(trace, w.begin); err != nil {
			return s, err
		}
	}
	return s, nil
}

// reap waits for the orphans, which have ended.
func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// watcher looks at all processes again and again.
type watcher struct {
	returned chan struct{}  // closed when the command has returned
	done     chan []process // gets the result
	begin    time.Time

	proc   int // /proc
	buf    []byte
	found  map[int]*process // those of the command, by pid
	others map[int]bool     // all others
}

func (w *watcher) now() float64 { return float64(time.Since(w.begin)) / float64(time.Millisecond) }

// work looks until nothing of the command is left, or for two seconds after it has
// returned.
func (w *watcher) work() {
	runtime.LockOSThread() // sleeping with the scheduler takes a ms and more
	defer runtime.UnlockOSThread()
	w.buf, w.found, w.others = make([]byte, 32<<10), map[int]*process{}, map[int]bool{}
	proc, err := os.Open("/proc")
	if err != nil {
		w.done <- nil
		return
	}
	defer func() { _ = proc.Close() }()
	w.proc = int(proc.Fd())
	end := time.Time{}
	for {
		alive := w.look()
		select {
		case <-w.returned:
			if end.IsZero() {
				end = time.Now().Add(2 * time.Second)
			}
			if alive == 0 || time.Now().After(end) {
				w.done <- w.result()
				return
			}
		default:
		}
		pause := unix.NsecToTimespec(int64(interval))
		_ = unix.Nanosleep(&pause, nil) // shorter is no harm
	}
}

// look notes who is there, and returns how many of the command are.
func (w *watcher) look() int {
	alive := 0
	for _, pid := range w.pids() {
		p := w.found[pid]
		if w.others[pid] || (p != nil && p.End > 0) {
			continue
		}
		name, state, parent, ok := w.stat(pid)
		now := w.now()
		switch {
		case !ok || state == 'Z' || state == 'X':
			if p != nil {
				p.End = now
			}
			continue
		case p == nil && !w.ours(parent):
			w.others[pid] = true
			continue
		case p == nil:
			p = &process{PID: pid, Parent: parent, Begin: now}
			w.found[pid] = p
		}
		if n := len(p.Programs); n == 0 || p.Programs[n-1].Name != name {
			p.Programs = append(p.Programs, program{Name: name, Begin: now})
		}
		alive++
	}
	w.bury()
	return alive
}

func (w *watcher) ours(parent int) bool { return parent == os.Getpid() || w.found[parent] != nil }

// bury ends those that have gone between two looks.
func (w *watcher) bury() {
	for pid, p := range w.found {
		if p.End == 0 && unix.Kill(pid, 0) == unix.ESRCH { //nolint:errorlint // the system call's own
			p.End = w.now()
		}
	}
}

func (w *watcher) pids() []int {
	var all []int
	if _, err := unix.Seek(w.proc, 0, unix.SEEK_SET); err != nil {
		return nil
	}
	for {
		n, err := unix.Getdents(w.proc, w.buf)
		if err != nil || n <= 0 {
			return all
		}
		var names []string
		_, _, names = unix.ParseDirent(w.buf[:n], -1, names)
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil {
				all = append(all, pid)
			}
		}
	}
}

// stat reads the name, state and parent of a process.
func (w *watcher) stat(pid int) (name string, state byte, parent int, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	text := string(w.read(dir + "/stat"))
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open || end+4 > len(text) {
		return "", 0, 0, false
	}
	name = text[open+1 : end]
	fields := strings.Fields(text[end+1:])
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return "", 0, 0, false
	}
	// Who executes /proc/self/exe or a descriptor is called exe, or by a number.
	if _, err := strconv.Atoi(name); err == nil || name == "exe" {
		if arg, _, ok := bytes.Cut(w.read(dir+"/cmdline"), []byte{0}); ok && len(arg) > 0 {
			name = filepath.Base(string(arg))
		}
	}
	return name, fields[0][0], parent, true
}

// read returns the begin of a small file; it is gone with the next call.
func (w *watcher) read(path string) []byte {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	n, err := unix.Read(fd, w.buf)
	if err != nil {
		return nil
	}
	return w.buf[:n]
}

// result are the processes in the order in which they began. What has not ended is
// there to stay and ends with the picture.
func (w *watcher) result() []process {
	var all []process
	for _, p := range w.found {
		if p.End == 0 {
			p.End = w.now()
		}
		all = append(all, *p)
	}
	slices.SortFunc(all, func(x, y process) int {
		return cmp.Or(cmp.Compare(x.Begin, y.Begin), x.PID-y.PID)
	})
	return all
}

// label is the name of the programs that a process has been. A child begins as a
// copy of its parent; that is not said.
func (p process) label(parent *process) string {
	var names []string
	for _, x := range p.Programs {
		if len(names) == 0 || names[len(names)-1] != x.Name {
			names = append(names, x.Name)
		}
	}
	copied := func(x program) bool { return x.Name == names[0] }
	if len(names) > 1 && (parent == nil || slices.ContainsFunc(parent.Programs, copied)) {
		names = names[1:]
	}
	return strings.Join(names, " → ")
}

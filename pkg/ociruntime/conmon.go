package ociruntime

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Log drivers as conmon names them.
const (
	LogK8sFile     = "k8s-file"
	LogJournald    = "journald"
	LogNone        = "none"
	LogPassthrough = "passthrough"
)

// Log says where conmon writes a container's output. conmon's own rotation, by
// --log-size-max, drops what was written before and is not used.
type Log struct {
	// Driver is one of the Log constants; empty is LogNone.
	Driver string
	// Path is the file of LogK8sFile.
	Path string
	// Tag is kept in the journal as CONTAINER_TAG.
	Tag string
}

// args are conmon's arguments for the log.
func (l Log) args() ([]string, error) {
	var args []string
	switch l.Driver {
	case LogK8sFile:
		if l.Path == "" {
			return nil, errors.New("log driver k8s-file needs a path")
		}
		args = append(args, "-l", LogK8sFile+":"+l.Path)
	case LogJournald, LogPassthrough:
		args = append(args, "-l", l.Driver)
	case LogNone, "":
		// "none" is an answer conmon knows; without -l it refuses to start.
		args = append(args, "-l", LogNone)
	default:
		return nil, fmt.Errorf("log driver %s is not supported: use %s, %s, %s or %s",
			l.Driver, LogK8sFile, LogJournald, LogNone, LogPassthrough)
	}
	if l.Tag != "" && l.Driver == LogJournald {
		args = append(args, "--log-tag", l.Tag)
	}
	return args, nil
}

// Created names the processes of a new container or exec session.
type Created struct {
	// PID is the container's (or session's) first process.
	PID int
	// ConmonPID is its monitor, a child of this process.
	ConmonPID int
}

// monitor is a conmon that has been started and has not yet answered.
type monitor struct {
	cmd    *exec.Cmd
	sync   *bufio.Reader
	syncR  *os.File
	startW *os.File // nil: conmon does not wait for us
	readyR *os.File // exec with attach: says the socket is there
	stderr *os.File // conmon's until its options are checked; nil: passthrough
}

// spawnOptions are what spawn needs besides the arguments.
type spawnOptions struct {
	dir    string
	env    []string
	gate   bool // conmon waits for release before it forks anything
	attach bool // exec: a second gate between socket and command
	cgroup string
	stdio  []*os.File // passthrough only
	// preserve are descriptors of ours that conmon and the runtime get, each by
	// its number.
	preserve []uint
	adopted  bool // conmon becomes a child of our parent
}

// spawn starts conmon in a session of its own with three kinds of pipes and
// nothing else of ours. conmon is told --sync, so it does not fork to the
// background: that saves a fork, gives its pid at once, and makes it a child
// that a goroutine reaps, unless our parent adopts it. It outlives us all the same.
func (r *Runtime) spawn(args []string, o spawnOptions) (*monitor, error) {
	if err := r.ensureStateRoot(); err != nil {
		return nil, err
	}
	var closers []io.Closer
	defer func() {
		for _, c := range closers {
			c.Close()
		}
	}()
	var err error
	m := &monitor{}
	m.cmd = exec.Command(r.Conmon, args...) //nolint:noctx // conmon must outlive every context
	m.cmd.Dir = o.dir
	m.cmd.Env = append([]string(nil), o.env...)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if o.adopted && os.Getpid() != 1 { // the kernel lets no init do it, which has no parent here
		m.cmd.SysProcAttr.Cloneflags = unix.CLONE_PARENT
	}
	if m.cmd.ExtraFiles, err = preserved(o.preserve); err != nil {
		return nil, err
	}
	for _, f := range m.cmd.ExtraFiles {
		if f != nil {
			closers = append(closers, f)
		}
	}
	hand := func(name string, f *os.File) {
		m.cmd.ExtraFiles = append(m.cmd.ExtraFiles, f)
		m.cmd.Env = append(m.cmd.Env, name+"="+strconv.Itoa(2+len(m.cmd.ExtraFiles)))
		closers = append(closers, f)
	}
	syncR, syncW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	hand("_OCI_SYNCPIPE", syncW)
	m.syncR, m.sync = syncR, bufio.NewReader(syncR)
	if o.gate || o.attach {
		startR, startW, err := os.Pipe()
		if err != nil {
			m.close()
			return nil, err
		}
		hand("_OCI_STARTPIPE", startR)
		m.startW = startW
	}
	if o.attach {
		readyR, readyW, err := os.Pipe()
		if err != nil {
			m.close()
			return nil, err
		}
		hand("_OCI_ATTACHPIPE", readyW)
		m.readyR = readyR
	}
	if o.stdio != nil {
		m.cmd.Stdin, m.cmd.Stdout, m.cmd.Stderr = o.stdio[0], o.stdio[1], o.stdio[2]
	} else {
		stderrR, stderrW, err := os.Pipe()
		if err != nil {
			m.close()
			return nil, err
		}
		closers = append(closers, stderrW)
		m.stderr, m.cmd.Stderr = stderrR, stderrW
	}
	if o.cgroup != "" {
		dir, err := openCgroup(o.cgroup)
		if err != nil {
			m.close()
			return nil, err
		}
		closers = append(closers, dir)
		m.cmd.SysProcAttr.UseCgroupFD, m.cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	if err := m.start(); err != nil {
		m.close()
		return nil, fmt.Errorf("start conmon %s: %w", r.Conmon, err)
	}
	if err := writeConmonID(o.dir, m.cmd.Process.Pid); err != nil {
		m.abort()
		return nil, err
	}
	return m, nil
}

// preserved are copies of descriptors, each at its own number less 3; the gaps
// between them stay closed.
func preserved(fds []uint) ([]*os.File, error) {
	if len(fds) == 0 {
		return nil, nil
	}
	files := make([]*os.File, slices.Max(fds)-2)
	for _, fd := range fds {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, fmt.Errorf("file descriptor %d is not open: %w", fd, err)
		}
		files[fd-3] = os.NewFile(uintptr(dup), "preserved")
	}
	return files, nil
}

// openCgroup makes and opens the cgroup directory conmon is cloned into.
func openCgroup(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // a cgroup, whose mode is 0755 everywhere
		return nil, err
	}
	return os.Open(path)
}

// start executes conmon and sees to it that it does not stay a zombie.
func (m *monitor) start() error {
	// What our own caller left open without close-on-exec (a lock, the pipe of a
	// shell's command substitution) would stay open as long as the container.
	// One call marks everything; Go duplicates ExtraFiles after it. ENOSYS
	// (before Linux 5.11) leaves things as they were.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	if err := m.cmd.Start(); err != nil {
		return err
	}
	if m.cmd.SysProcAttr.Cloneflags&unix.CLONE_PARENT == 0 {
		go func() { _ = m.cmd.Wait() }() // its status says nothing: the exit file does
	}
	return nil
}

// close lets go of all pipes.
func (m *monitor) close() {
	for _, f := range []*os.File{m.syncR, m.startW, m.readyR, m.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// release opens conmon's gate.
func (m *monitor) release() error {
	_, err := m.startW.Write([]byte{0})
	return err
}

// abort ends a conmon whose container will not be used. SIGTERM makes conmon
// kill the runtime it is waiting for and run its exit command.
func (m *monitor) abort() {
	_ = m.cmd.Process.Signal(unix.SIGTERM)
	m.close()
}

// answer is what conmon writes to its pipes.
type answer struct {
	Data    int    `json:"data"`
	Message string `json:"message"`
}

// errNoAnswer means the pipe ended without a line.
var errNoAnswer = errors.New("no answer")

// readAnswer reads one line of JSON from a pipe of conmon's; when ctx ends first
// it gives up.
func readAnswer(ctx context.Context, pipe *os.File, buffered *bufio.Reader) (answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := buffered.ReadBytes('\n')
	if ctx.Err() != nil {
		return answer{}, context.Cause(ctx)
	}
	if err != nil && len(line) == 0 {
		if errors.Is(err, io.EOF) {
			return answer{}, errNoAnswer
		}
		return answer{}, err
	}
	var a answer
	if err := json.Unmarshal(sanitizeJSON(line), &a); err != nil {
		return answer{}, fmt.Errorf("answer of conmon %q: %w", line, err)
	}
	return a, nil
}

// sanitizeJSON drops the control bytes conmon 2.1.6 does not escape (1f and
// what a runtime's terminal escapes may hold), which JSON forbids.
func sanitizeJSON(line []byte) []byte {
	return bytes.Map(func(c rune) rune {
		if c < 0x20 {
			return -1
		}
		return c
	}, line)
}

// pid waits for conmon to say which process it watches. A negative number is a
// failure of the runtime, whose words come with it.
func (m *monitor) pid(ctx context.Context, r *Runtime, verb, id string) (int, error) {
	a, err := readAnswer(ctx, m.syncR, m.sync)
	switch {
	case errors.Is(err, errNoAnswer):
		return 0, m.silent(r, verb, id)
	case err != nil:
		m.abort()
		return 0, err
	case a.Data > 0:
		return a.Data, nil
	case a.Message == "":
		return 0, m.silent(r, verb, id)
	}
	return 0, newError(r.Name, verb, id, a.Message)
}

// silent explains why conmon ended without a word, from the runtime's log and
// from what conmon complained about before it let go of standard error.
func (m *monitor) silent(r *Runtime, verb, id string) error {
	if logged, err := os.ReadFile(filepath.Join(m.cmd.Dir, runtimeLog)); err == nil && len(logged) > 0 {
		return newError(r.Name, verb, id, string(logged))
	}
	if m.stderr != nil {
		// It ended or let go of standard error, so this ends at once; only a
		// conmon stuck half way needs the limit.
		_ = m.stderr.SetReadDeadline(time.Now().Add(2 * time.Second))
		text, _ := io.ReadAll(io.LimitReader(m.stderr, 4096))
		if len(text) > 0 {
			return fmt.Errorf("%s container %s: %s: %s", verb, id, r.Conmon, oneLine(string(text)))
		}
	}
	return fmt.Errorf("%s container %s: %s and %s ended without a message", verb, id, r.Conmon, r.Name)
}

package ociruntime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
)

// checkRunner is the file that names the runtime of a check.
const checkRunner = "runner"

// outputGrace is how long the output of a check is still read after its end, when
// something it left behind holds the pipe.
const outputGrace = 100 * time.Millisecond

// CheckOptions describe a short command in a running container.
type CheckOptions struct {
	ContainerID string
	// First is the container's first process.
	First process.ID
	// RunDir belongs to the checks of this container alone; it is made.
	RunDir string
	// Process is what runs, complete; it has no terminal.
	Process *rspec.Process
	// Timeout ends it.
	Timeout time.Duration
	// Output takes what it writes to both streams.
	Output io.Writer
}

// CheckResult is how a check ended.
type CheckResult struct {
	Code     int
	TimedOut bool
}

// Check runs a short command in a container and waits for its end. The runtime
// starts it and goes; pod takes conmon's place, which is there to outlive pod, as a
// check must not. What an earlier check left, whose pod was killed, is ended first.
// An *Error says that the runtime could not start the command.
//
// The process becomes the reaper of orphans below it, and stays so.
func (r *Runtime) Check(ctx context.Context, o CheckOptions) (CheckResult, error) {
	if err := EndCheck(ctx, o.RunDir, o.First); err != nil {
		return CheckResult{}, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return CheckResult{}, fmt.Errorf("become the parent of a check: %w", err)
	}
	space, _ := os.Readlink(pidSpace(o.First.PID)) // empty: it has ended, and all in it is ending
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	output, err := newDrain(o.Output)
	if err != nil {
		return CheckResult{}, err
	}
	pid, err := r.startCheck(limited, o, output)
	if err == nil {
		var code int
		if code, err = awaitCheck(limited, pid, o.First); err == nil {
			output.finish()
			return CheckResult{Code: code}, os.RemoveAll(o.RunDir)
		}
	}
	output.finish()
	err = errors.Join(err, EndCheck(context.WithoutCancel(ctx), o.RunDir, o.First))
	reapLeft(space, o.First)
	if limited.Err() != nil && ctx.Err() == nil {
		return CheckResult{TimedOut: true}, nil
	}
	return CheckResult{}, err
}

func pidSpace(pid int) string { return fmt.Sprintf("/proc/%d/ns/pid", pid) }

// reapLeft ends and waits for what a runtime that failed, or was killed, has made in the
// container: it is our child now. Nobody else waits for it, and until somebody does the first
// process of its PID namespace cannot end (pid_namespaces(7)): whoever stops the container,
// which may be us, would wait for ever.
func reapLeft(space string, first process.ID) {
	own, _ := process.Numbers(os.Getpid())
	for _, child := range process.Children(os.Getpid()) {
		if its, _ := process.Numbers(child.PID); len(its) <= len(own) || child.PID == first.PID {
			continue
		}
		// Without a namespace to be seen it is ending already.
		if its, err := os.Readlink(pidSpace(child.PID)); err == nil {
			if its != space {
				continue
			}
			_ = child.Signal(syscall.SIGKILL)
		}
		for {
			if _, err := unix.Wait4(child.PID, nil, 0, nil); !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
}

// startCheck has the runtime start the command, and returns its pid.
func (r *Runtime) startCheck(ctx context.Context, o CheckOptions, output *drain) (int, error) {
	cmd, err := r.checkCommand(o, output.write)
	if err != nil {
		return 0, err
	}
	if err := startMasked(cmd, o.Process.User.Umask); err != nil {
		return 0, fmt.Errorf("start %s: %w", r.Path, err)
	}
	runner, err := process.Of(cmd.Process.Pid)
	if err == nil {
		err = writeID(filepath.Join(o.RunDir, checkRunner), runner)
	}
	if err == nil {
		err = runner.Wait(ctx)
	}
	if err != nil {
		for _, who := range process.StopTree(runner) {
			_ = who.Signal(syscall.SIGKILL)
		}
		return 0, errors.Join(err, cmd.Wait())
	}
	if err := cmd.Wait(); err != nil {
		text, readErr := os.ReadFile(filepath.Join(o.RunDir, runtimeLog))
		if readErr != nil || len(text) == 0 {
			text = []byte(err.Error())
		}
		return 0, newError(r.Name, "exec", o.ContainerID, string(text))
	}
	return readPID(filepath.Join(o.RunDir, pidFile))
}

// startMasked starts a runtime with the mask that its process is to have: runc
// applies the one of the description to a container's first process alone.
func startMasked(cmd *exec.Cmd, mask *uint32) error {
	if mask != nil {
		defer unix.Umask(unix.Umask(int(*mask)))
	}
	return cmd.Start()
}

// awaitCheck waits for the command, which is a child of ours since the runtime has
// ended, and returns its exit code. When ctx ends first, it is killed with its
// session.
func awaitCheck(ctx context.Context, pid int, first process.ID) (int, error) {
	// As our child its pid is nobody else's before it is waited for.
	var failed error
	if who, err := process.Of(pid); err == nil {
		if failed = who.Wait(ctx); failed != nil {
			failed = errors.Join(failed, killCheck(context.WithoutCancel(ctx), pid, first))
		}
	}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, errors.Join(failed, fmt.Errorf("wait for a check: %w", err))
		case status.Signaled():
			return 128 + int(status.Signal()), failed
		}
		return status.ExitStatus(), failed
	}
}

// drain reads a pipe to its end.
type drain struct {
	read, write *os.File
	ended       chan struct{}
}

func newDrain(to io.Writer) (*drain, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe of a check: %w", err)
	}
	d := &drain{read: read, write: write, ended: make(chan struct{})}
	go func() {
		defer close(d.ended)
		_, _ = io.Copy(to, read) // closed by finish when it takes too long
	}()
	return d, nil
}

// finish waits for what was written, but not for what the command left running and
// holds the pipe.
func (d *drain) finish() {
	_ = d.write.Close()
	_ = d.read.SetReadDeadline(time.Now().Add(outputGrace))
	<-d.ended
	_ = d.read.Close()
}

// checkCommand writes the files of a check and returns the runtime's command.
func (r *Runtime) checkCommand(o CheckOptions, output *os.File) (*exec.Cmd, error) {
	if err := os.Mkdir(o.RunDir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of the check: %w", err)
	}
	raw, err := json.Marshal(o.Process)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(o.RunDir, "process.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return nil, err
	}
	args := append(r.globalArgs(), "--log", filepath.Join(o.RunDir, runtimeLog), "--log-format", "json",
		"exec", "--detach", "--process", file, "--pid-file", filepath.Join(o.RunDir, pidFile), o.ContainerID)
	// Not CommandContext: killing the runtime alone would leave the command.
	cmd := exec.Command(r.program(), args...) //nolint:noctx // see above
	cmd.Env = r.env()
	cmd.Stdout, cmd.Stderr = output, output
	// A signal for pod's process group is not one for the runtime.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) // as for conmon
	return cmd, nil
}

// runnerGrace is how long a runtime may take to end after its command was killed.
const runnerGrace = 500 * time.Millisecond

// EndCheck kills what is left of the check in runDir, if any: the command with its
// session, and a runtime that is about to start it. first is the container's first process, by which a
// process of it is known. It is safe to repeat.
func EndCheck(ctx context.Context, runDir string, first process.ID) error {
	if _, err := os.Lstat(runDir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := killLeft(ctx, runDir, first); err != nil {
		return err
	}
	runner, err := readID(filepath.Join(runDir, checkRunner))
	if err != nil {
		return os.RemoveAll(runDir) // pod was killed before it noted it
	}
	limited, cancel := context.WithTimeout(ctx, runnerGrace)
	defer cancel()
	if runner.Wait(limited) != nil {
		// It hangs, or has just made what was looked for above.
		if err := kill(ctx, process.StopTree(runner)); err != nil {
			return err
		}
		if err := killLeft(ctx, runDir, first); err != nil {
			return err
		}
	}
	return os.RemoveAll(runDir)
}

// killLeft kills the command that a pid file names. Whether the pid is still about
// this check is told by the container's mount namespace.
func killLeft(ctx context.Context, runDir string, first process.ID) error {
	pid, err := readPID(filepath.Join(runDir, pidFile))
	if err != nil || pid == first.PID || !first.Alive() || !sameMounts(pid, first.PID) {
		return nil //nolint:nilerr // none was started, or with the first process all have gone
	}
	return killCheck(ctx, pid, first)
}

// killCheck kills a command, what is below it, and the rest of its session that is
// in the container: a runtime's process may have led it, and ended.
func killCheck(ctx context.Context, pid int, first process.ID) error {
	command, err := process.Of(pid)
	if err != nil {
		return nil //nolint:nilerr // it has ended, and nobody knows what its session was
	}
	session := process.SessionOf(pid)
	for {
		all := process.StopTree(command)
		for _, who := range process.Session(session) {
			if who.PID != first.PID && sameMounts(who.PID, first.PID) {
				all = append(all, process.StopTree(who)...)
			}
		}
		if len(all) == 0 {
			return nil
		}
		if err := kill(ctx, all); err != nil {
			return err
		}
	}
}

// kill kills processes and waits for their end.
func kill(ctx context.Context, all []process.ID) error {
	for _, who := range all {
		_ = who.Signal(syscall.SIGKILL) // gone is as good
	}
	for _, who := range all {
		if err := who.Wait(ctx); err != nil {
			return fmt.Errorf("end the check of a container: %w", err)
		}
	}
	return nil
}

// sameMounts says whether two processes have one mount namespace.
func sameMounts(a, b int) bool {
	first, errA := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", a))
	second, errB := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", b))
	return errA == nil && errB == nil && first == second
}

// readPID reads the pid file of a runtime.
func readPID(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read pid of a check: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("read pid of a check: %q is none", data)
	}
	return pid, nil
}

// writeID notes a process in a file.
func writeID(path string, id process.ID) error {
	return os.WriteFile(path, fmt.Appendf(nil, "%d %d\n", id.PID, id.Start), 0o600)
}

// readID is the process that writeID noted.
func readID(path string) (process.ID, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return process.ID{}, err
	}
	var id process.ID
	_, err = fmt.Sscanf(string(data), "%d %d", &id.PID, &id.Start)
	return id, err
}

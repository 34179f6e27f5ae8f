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
// does it alone: conmon is there to outlive pod, which a check must not. What an
// earlier check left, whose pod was killed, is ended first. An *Error says that
// the runtime could not start the command.
func (r *Runtime) Check(ctx context.Context, o CheckOptions) (CheckResult, error) {
	if err := EndCheck(ctx, o.RunDir, o.First); err != nil {
		return CheckResult{}, err
	}
	cmd, err := r.checkCommand(o)
	if err != nil {
		return CheckResult{}, err
	}
	if err := cmd.Start(); err != nil {
		return CheckResult{}, fmt.Errorf("start %s: %w", r.Path, err)
	}
	runner, err := process.Of(cmd.Process.Pid)
	if err == nil {
		err = writeID(filepath.Join(o.RunDir, checkRunner), runner)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		return CheckResult{}, errors.Join(err, cmd.Wait())
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	timeout := time.NewTimer(o.Timeout)
	defer timeout.Stop()
	var result CheckResult
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = errors.Join(context.Cause(ctx), EndCheck(context.WithoutCancel(ctx), o.RunDir, o.First))
		<-ended
		return result, err
	case <-timeout.C:
		result.TimedOut = true
		err = EndCheck(ctx, o.RunDir, o.First)
		<-ended
		return result, err
	}
	result.Code = cmd.ProcessState.ExitCode()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return result, fmt.Errorf("wait for %s: %w", r.Path, err)
	}
	if result.Code != 0 {
		if text, err := os.ReadFile(filepath.Join(o.RunDir, runtimeLog)); err == nil && len(text) > 0 {
			return result, newError(r.Name, "exec", o.ContainerID, string(text))
		}
	}
	return result, os.RemoveAll(o.RunDir)
}

// checkCommand writes the files of a check and returns the runtime's command.
func (r *Runtime) checkCommand(o CheckOptions) (*exec.Cmd, error) {
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
	args := append(r.globalArgs(), "--log", filepath.Join(o.RunDir, runtimeLog), "--log-format", "json")
	args = append(args, "exec", "--process", file, "--pid-file", filepath.Join(o.RunDir, pidFile), o.ContainerID)
	// Not CommandContext: killing the runtime alone would leave the command.
	cmd := exec.Command(r.Path, args...) //nolint:noctx // see above
	cmd.Env = r.env()
	cmd.Stdout, cmd.Stderr = o.Output, o.Output
	cmd.WaitDelay = outputGrace
	// A signal for pod's process group is not one for the runtime.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) // as for conmon
	return cmd, nil
}

// runnerGrace is how long a runtime may take to end after its command was killed.
// It reaps the command, which nobody else in the container may do.
const runnerGrace = 500 * time.Millisecond

// EndCheck kills what is left of the check in runDir, if any: the command with its
// session, then the runtime. first is the container's first process, by which a
// process of it is known. It is safe to repeat.
func EndCheck(ctx context.Context, runDir string, first process.ID) error {
	if _, err := os.Lstat(runDir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if leader, ok := checkLeader(runDir, first); ok {
		if err := killSession(ctx, leader); err != nil {
			return err
		}
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
		if leader, ok := checkLeader(runDir, first); ok {
			if err := killSession(ctx, leader); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(runDir)
}

// killSession kills the processes of a session and those below them.
func killSession(ctx context.Context, leader int) error {
	for {
		var all []process.ID
		for _, who := range process.Session(leader) {
			all = append(all, process.StopTree(who)...)
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

// checkLeader is the pid of the command of a check. The runtime makes it the
// leader of a session, so that the pid is not given to another process as long as
// one of the session is there. Whether it is still about this check is told by the
// container's mount namespace.
func checkLeader(runDir string, first process.ID) (int, bool) {
	data, err := os.ReadFile(filepath.Join(runDir, pidFile))
	if err != nil {
		return 0, false
	}
	leader, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || leader == first.PID || !first.Alive() {
		return 0, false // with the first process the others have gone
	}
	for _, who := range process.Session(leader) {
		if sameMounts(who.PID, first.PID) {
			return leader, true
		}
	}
	return 0, false
}

// sameMounts says whether two processes have one mount namespace.
func sameMounts(a, b int) bool {
	first, errA := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", a))
	second, errB := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", b))
	return errA == nil && errB == nil && first == second
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

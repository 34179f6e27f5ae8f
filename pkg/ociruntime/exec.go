package ociruntime

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// ExecOptions describe a command in a running container.
type ExecOptions struct {
	// ContainerID is the container's, SessionID the session's own.
	ContainerID, SessionID string
	// RunDir belongs to this session alone; see the package's description. Its
	// exit file is named after the container, as for containers.
	RunDir string
	// Process is what runs, complete: environment, capabilities, user.
	Process *rspec.Process
	// Terminal must agree with Process.Terminal; Stdin as in CreateOptions.
	Terminal, Stdin bool
	// Attach makes conmon wait, its socket open, until Session.Start.
	Attach bool
	Log    Log
	// ExitCommand, ConmonCgroup, Place and Env are those of CreateOptions.
	ExitCommand  []string
	ConmonCgroup string
	Place        func(ctx context.Context, conmonPID int) error
	Env          []string
	// PreserveFDs are those of CreateOptions.
	PreserveFDs []uint
	// Cgroup, relative to the container's, is where the command runs (crun, runc).
	Cgroup string
}

// Session is an exec session whose conmon runs and whose command does not yet.
type Session struct {
	r *Runtime
	o ExecOptions
	m *monitor
}

// Exec runs a command in a container and returns when it has started: for a
// detached session.
func (r *Runtime) Exec(ctx context.Context, o ExecOptions) (*Created, error) {
	o.Attach = false
	s, err := r.PrepareExec(ctx, o)
	if err != nil {
		return nil, err
	}
	return s.Start(ctx)
}

// PrepareExec starts a session's conmon. With Attach the attach socket is there
// when it returns, so that nothing of the command's output is lost: attach,
// then call Start. Without Start, call Close.
func (r *Runtime) PrepareExec(ctx context.Context, o ExecOptions) (*Session, error) {
	if err := cleanRunDir(ctx, o.RunDir, o.ContainerID); err != nil {
		return nil, err
	}
	args, err := r.execArgs(o)
	if err != nil {
		return nil, err
	}
	m, err := r.spawn(args, spawnOptions{
		dir: o.RunDir, env: r.conmonEnv(o.RunDir, o.Terminal, o.Env),
		gate: o.Place != nil, attach: o.Attach, cgroup: o.ConmonCgroup, preserve: o.PreserveFDs,
	})
	if err != nil {
		return nil, err
	}
	s := &Session{r: r, o: o, m: m}
	if err := s.prepare(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// prepare places conmon and waits for its socket.
func (s *Session) prepare(ctx context.Context) error {
	if s.o.Place != nil {
		if err := s.o.Place(ctx, s.m.cmd.Process.Pid); err != nil {
			return fmt.Errorf("place conmon of exec session %s: %w", s.o.SessionID, err)
		}
	}
	if s.m.startW == nil {
		return nil
	}
	if err := s.m.release(); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("release conmon of exec session %s: %w", s.o.SessionID, err)
	}
	if !s.o.Attach {
		return nil
	}
	_, err := readAnswer(ctx, s.m.readyR, bufio.NewReader(s.m.readyR))
	if errors.Is(err, errNoAnswer) {
		return s.m.silent(s.r, "exec in", s.o.ContainerID)
	}
	return err
}

// Start lets the command run and returns once it does.
func (s *Session) Start(ctx context.Context) (*Created, error) {
	defer s.m.close()
	if s.o.Attach {
		if err := s.m.release(); err != nil && !errors.Is(err, unix.EPIPE) {
			s.m.abort()
			return nil, fmt.Errorf("start exec session %s: %w", s.o.SessionID, err)
		}
	}
	pid, err := s.m.pid(ctx, s.r, "exec in", s.o.ContainerID)
	if err != nil {
		return nil, err
	}
	return &Created{PID: pid, ConmonPID: s.m.cmd.Process.Pid}, nil
}

// ConmonPID is the session's monitor.
func (s *Session) ConmonPID() int { return s.m.cmd.Process.Pid }

// Close ends a session that was not started.
func (s *Session) Close() { s.m.abort() }

// execArgs writes the process description and returns conmon's arguments.
func (r *Runtime) execArgs(o ExecOptions) ([]string, error) {
	if o.Process == nil || len(o.Process.Args) == 0 {
		return nil, fmt.Errorf("exec session %s has no command", o.SessionID)
	}
	if o.Process.Terminal != o.Terminal {
		return nil, fmt.Errorf("exec session %s: process and session disagree on the terminal", o.SessionID)
	}
	args, err := r.commonArgs(commonOptions{
		id: o.ContainerID, session: o.SessionID, runDir: o.RunDir,
		terminal: o.Terminal, stdin: o.Stdin, log: o.Log, exit: o.ExitCommand,
	})
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(o.Process)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(o.RunDir, "process.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return nil, err
	}
	args = append(args, "-e", "--exec-process-spec", file)
	args = append(args, preserveArgs(o.PreserveFDs)...)
	if o.Attach {
		args = append(args, "--exec-attach")
	}
	if o.Cgroup != "" {
		args = append(args, "--runtime-opt", "--cgroup", "--runtime-opt", o.Cgroup)
	}
	return args, nil
}

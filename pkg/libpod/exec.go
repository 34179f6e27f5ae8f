package libpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/events"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
)

// ExecOptions describe a command in a running container.
type ExecOptions struct {
	Command []string
	// Env holds NAME=VALUE pairs over those of the container.
	Env        []string
	User       string
	WorkDir    string
	Terminal   bool
	Stdin      bool
	Privileged bool
	// NoSession keeps no record of the command.
	NoSession bool
	// PreserveFDs are descriptors of the caller that the command gets, by number.
	PreserveFDs []uint
}

// codeNotRunning is the exit code of exec in a container that does not run.
const codeNotRunning = 255

// Exec runs a command in a container. With attach it returns when the command
// has ended, or the user detached; without, when it has started, and Outcome.ID
// is the session's. No lock is held while the command runs.
func (e *Engine) Exec(ctx context.Context, nameOrID string, opts ExecOptions, a *AttachOptions) (Outcome, error) {
	c, err := e.state.Lookup(ctx, nameOrID)
	if err != nil {
		return Outcome{}, err
	}
	if status := e.status(c); status != StatusRunning {
		return Outcome{}, coded(codeNotRunning, "can only create exec sessions on running containers: %s is %s; start it first: %w", c.Name, status, ErrStateImproper)
	}
	go e.warmCgroups()
	var proc *rspec.Process
	err = step.Do(ctx, "exec.process", func() error { proc, err = e.execProcess(ctx, c, opts); return err })
	if err != nil {
		return Outcome{}, err
	}
	session, err := e.addSession(ctx, c, opts)
	if err != nil {
		return Outcome{}, err
	}
	if a == nil {
		return e.execDetached(ctx, c, session, e.sessionOptions(c, session, proc, opts))
	}
	out, err := e.execAttached(ctx, c, session, e.sessionOptions(c, session, proc, opts), a)
	if out.Detached {
		return out, err
	}
	return out, errors.Join(err, e.dropSession(context.WithoutCancel(ctx), session))
}

func (e *Engine) execDir(s *state.Exec) string {
	return filepath.Join(e.paths.container(s.Container), "x", s.ID)
}

func (e *Engine) addSession(ctx context.Context, c *state.Container, opts ExecOptions) (*state.Exec, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	s := &state.Exec{
		ID: id, Container: c.ID, Command: opts.Command, User: opts.User, Terminal: opts.Terminal,
		Stdin: opts.Stdin, Created: time.Now().UTC(),
	}
	if !opts.NoSession {
		if err := step.Do(ctx, "state.exec", func() error { return e.state.AddExec(ctx, s) }); err != nil {
			return nil, err
		}
	}
	if err := e.makeExecDir(s); err != nil {
		return nil, errors.Join(err, e.state.RemoveExec(ctx, s.ID))
	}
	return s, nil
}

// makeExecDir makes the session's directory in the container's, which is not
// made again should it have gone.
func (e *Engine) makeExecDir(s *state.Exec) error {
	dir := e.execDir(s)
	err := os.Mkdir(filepath.Dir(dir), 0o700)
	if err == nil || errors.Is(err, os.ErrExist) {
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, os.ErrNotExist) {
		return notRunning(s.Container)
	}
	if err != nil {
		return fmt.Errorf("make directory of the exec session: %w", err)
	}
	return nil
}

// notRunning is the error of an exec whose container ended under it.
func notRunning(name string) error {
	return coded(codeNotRunning, "can only create exec sessions on running containers: %s has just ended: %w", name, ErrStateImproper)
}

// execError gives an error of the runtime its exit code.
func (e *Engine) execError(ctx context.Context, c *state.Container, command []string, err error) error {
	switch ociruntime.KindOf(err) {
	case ociruntime.KindNoContainer, ociruntime.KindNotRunning:
		return notRunning(c.Name)
	}
	if !c.Run.Init.Alive() {
		return notRunning(c.Name)
	}
	var failed *ociruntime.Error
	if errors.As(err, &failed) {
		return commandError(failed, command)
	}
	// Nobody said why: who ends the container may have begun with our monitor.
	now, gone := e.state.Get(context.WithoutCancel(ctx), c.ID)
	if gone != nil || now.Run == nil || now.Run.Stopping || now.Run.Init != c.Run.Init {
		return notRunning(c.Name)
	}
	return e.runtimeError(c, err)
}

func (e *Engine) dropSession(ctx context.Context, s *state.Exec) error {
	if err := os.RemoveAll(e.execDir(s)); err != nil {
		return fmt.Errorf("remove directory of the exec session: %w", err)
	}
	err := e.state.RemoveExec(ctx, s.ID)
	var absent state.ErrNoExec
	if errors.As(err, &absent) {
		return nil // its container was removed
	}
	return err
}

func (e *Engine) sessionOptions(c *state.Container, s *state.Exec, proc *rspec.Process, wish ExecOptions) ociruntime.ExecOptions {
	return ociruntime.ExecOptions{
		ContainerID: c.ID, SessionID: s.ID, RunDir: e.execDir(s), Process: proc,
		Terminal: s.Terminal, Stdin: s.Stdin, Log: ociruntime.Log{Driver: ociruntime.LogNone},
		Place: e.execPlace(c), PreserveFDs: wish.PreserveFDs,
	}
}

func (e *Engine) execDetached(ctx context.Context, c *state.Container, s *state.Exec, opts ociruntime.ExecOptions) (Outcome, error) {
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return Outcome{}, err
	}
	awaitCommand(ctx, c.Run.Init)
	argv := append([]string{e.Self[0]}, e.Self[1:]...)
	opts.ExitCommand = append(argv, "container", "cleanup", "--exec", s.ID, c.ID)
	created, err := runtime.Exec(ctx, opts)
	if err != nil {
		return Outcome{}, errors.Join(e.execError(ctx, c, s.Command, err), e.dropSession(context.WithoutCancel(ctx), s))
	}
	e.event(ctx, events.Exec, c)
	// The command may have ended, and its session be gone, by now.
	if s.Process, err = process.Of(created.PID); err == nil {
		s.Conmon, _ = process.Of(created.ConmonPID)
		var absent state.ErrNoExec
		if err := e.state.UpdateExec(ctx, s); err != nil && !errors.As(err, &absent) {
			return Outcome{ID: s.ID}, err
		}
	}
	return Outcome{ID: s.ID}, nil
}

func (e *Engine) execAttached(ctx context.Context, c *state.Container, s *state.Exec, opts ociruntime.ExecOptions, a *AttachOptions) (Outcome, error) {
	out := Outcome{ID: s.ID}
	runtime, err := e.runtime(c.Spec.Runtime)
	if err != nil {
		return out, err
	}
	opts.Attach = true
	var session *ociruntime.Session
	err = step.Do(ctx, "exec.prepare", func() error { session, err = runtime.PrepareExec(ctx, opts); return err })
	if err != nil {
		return out, e.execError(ctx, c, s.Command, err)
	}
	begun := false
	begin := func() error {
		begun = true
		return step.Do(ctx, "exec.start", func() error { return e.startSession(ctx, c, s, session) })
	}
	streams := a.Streams
	if !s.Stdin {
		streams.In = nil
	}
	result, err := attach.Attach(ctx, attach.Options{
		Socket: ociruntime.AttachSocket(opts.RunDir), Ctl: ociruntime.Ctl(opts.RunDir), Terminal: s.Terminal,
		Streams: streams, DetachKeys: a.DetachKeys, Started: begin,
	})
	if !begun {
		session.Close()
	}
	if err != nil {
		return out, err
	}
	if result.Detached {
		out.Detached = true
		return out, nil
	}
	x, err := ociruntime.WaitExit(ctx, opts.RunDir, c.ID, s.Process, s.Conmon)
	if err != nil {
		return out, err
	}
	out.Code = x.Code
	ev := containerEvent(events.ExecDied, c)
	ev.ExitCode = &out.Code
	e.write(ctx, ev)
	return out, nil
}

func (e *Engine) startSession(ctx context.Context, c *state.Container, s *state.Exec, session *ociruntime.Session) error {
	s.Conmon, _ = process.Of(session.ConmonPID())
	awaitCommand(ctx, c.Run.Init)
	created, err := session.Start(ctx)
	if err != nil {
		return e.execError(ctx, c, s.Command, err)
	}
	// A command may end before it is looked at: its pid is then nobody's.
	s.Process, _ = process.Of(created.PID)
	e.event(ctx, events.Exec, c)
	err = e.state.UpdateExec(ctx, s)
	var absent state.ErrNoExec
	if errors.As(err, &absent) {
		return nil // it has no record, by wish or since its container was removed
	}
	return err
}

// commandPatience bounds awaitCommand.
const commandPatience = 2 * time.Second

// awaitCommand waits until the first process of a container that has just been started
// is the container's command. Before that it is the runtime still, whose namespaces
// nobody may enter, and an exec would end with a permission that is denied.
func awaitCommand(ctx context.Context, first process.ID) {
	for begin := time.Now(); ctx.Err() == nil && time.Since(begin) < commandPatience; time.Sleep(200 * time.Microsecond) {
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", first.PID))
		if err == nil {
			_ = ns.Close() // it was only read
		}
		if !errors.Is(err, fs.ErrPermission) {
			return
		}
	}
}

// CleanupExec removes a detached session that has ended.
func (e *Engine) CleanupExec(ctx context.Context, id string) error {
	s, err := e.state.LookupExec(ctx, id)
	var absent state.ErrNoExec
	if errors.As(err, &absent) {
		return nil
	}
	if err != nil {
		return err
	}
	if c, err := e.state.Get(ctx, s.Container); err == nil {
		ev := containerEvent(events.ExecDied, c)
		if x, ok, err := ociruntime.ExitCode(e.execDir(s), s.Container); err == nil && ok {
			ev.ExitCode = &x.Code
		}
		e.write(ctx, ev)
	}
	return e.dropSession(ctx, s)
}

// execProcess makes the description of the command from the container's own
// process, as the runtime got it.
func (e *Engine) execProcess(ctx context.Context, c *state.Container, opts ExecOptions) (*rspec.Process, error) {
	data, err := os.ReadFile(filepath.Join(e.paths.container(c.ID), "config.json"))
	if err != nil {
		return nil, fmt.Errorf("read the bundle of container %s: %w", short(c.ID), err)
	}
	var spec rspec.Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("read the bundle of container %s: %w", short(c.ID), err)
	}
	p := spec.Process
	p.Args, p.Terminal, p.ConsoleSize = opts.Command, opts.Terminal, nil
	p.Env = withoutTerm(p.Env, opts.Terminal)
	p.Env = mergeEnv(p.Env, opts.Env)
	if opts.WorkDir != "" {
		p.Cwd = opts.WorkDir
	}
	if opts.User != "" {
		if err := e.execUser(ctx, c, p, opts.User); err != nil {
			return nil, err
		}
	}
	if opts.Privileged {
		all := bounding()
		p.Capabilities = &rspec.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	}
	return p, nil
}

// execUser changes the user of an exec process. It is looked up in the root the
// container sees, mounts included.
func (e *Engine) execUser(ctx context.Context, c *state.Container, p *rspec.Process, name string) error {
	root, err := openRoot(ctx, c.Run.Init)
	if err != nil && !c.Run.Init.Alive() {
		return notRunning(c.Name)
	}
	if err != nil {
		return fmt.Errorf("find user %s in the container: %w", name, err)
	}
	defer func() { _ = root.Close() }()
	who, err := resolveUser(fmt.Sprintf("/proc/self/fd/%d", root.Fd()), name, nil)
	if err != nil {
		return err
	}
	p.User.UID, p.User.GID, p.User.AdditionalGids = who.uid, who.gid, who.groups
	p.Env = mergeEnv(p.Env, []string{"HOME=" + who.home})
	if p.Capabilities != nil {
		// root has what the container may have; others have none of it.
		p.Capabilities.Effective, p.Capabilities.Permitted, p.Capabilities.Ambient = nil, nil, nil
		p.Capabilities.Inheritable = nil
		if who.uid == 0 {
			p.Capabilities.Effective, p.Capabilities.Permitted = p.Capabilities.Bounding, p.Capabilities.Bounding
		}
	}
	return nil
}

// withoutTerm gives TERM to commands with a terminal only.
func withoutTerm(env []string, terminal bool) []string {
	has := slices.ContainsFunc(env, func(pair string) bool { return strings.HasPrefix(pair, "TERM=") })
	if terminal && !has {
		return append(env, "TERM=xterm")
	}
	return env
}

// mergeEnv lays pairs over env.
func mergeEnv(env, pairs []string) []string {
	merged := slices.Clone(env)
	for _, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		at := slices.IndexFunc(merged, func(have string) bool { return strings.HasPrefix(have, name+"=") })
		if at >= 0 {
			merged[at] = pair
		} else {
			merged = append(merged, pair)
		}
	}
	return merged
}

// Execs lists the sessions of a container that run.
func (e *Engine) Execs(ctx context.Context, id string) ([]*state.Exec, error) {
	all, err := e.state.Execs(ctx, id)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s *state.Exec) bool { return s.Process.PID == 0 || !s.Process.Alive() }), nil
}

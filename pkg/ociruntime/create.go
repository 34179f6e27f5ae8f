package ociruntime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
)

// Names of the files conmon keeps in a RunDir.
const (
	attachSocket = "attach"
	ctlFifo      = "ctl"
	winszFifo    = "winsz"
	pidFile      = "pidfile"
	oomFile      = "oom"
	runtimeLog   = "oci-log"
	conmonFile   = "conmon.id"
)

// AttachSocket is where a container or exec session with this RunDir can be
// attached to.
func AttachSocket(runDir string) string { return filepath.Join(runDir, attachSocket) }

// Ctl is the fifo that takes resize messages for this RunDir.
func Ctl(runDir string) string { return filepath.Join(runDir, ctlFifo) }

// CreateOptions describe one run of a container.
type CreateOptions struct {
	// ID and Name are the container's; the name goes to the journal.
	ID, Name string
	// RunDir belongs to this run alone and holds the bundle's config.json; see
	// the package's description. It must exist, absolute, on a tmpfs for speed.
	RunDir string
	// Terminal gives conmon the container's terminal; Stdin a pipe to its
	// standard input, which ends with the first attached client that ends its own.
	Terminal, Stdin bool
	Log             Log
	// ExitCommand is the argv (absolute path first) conmon starts after it has
	// written the exit file. Empty: none.
	ExitCommand []string
	// PIDFile and ConmonPIDFile are further copies of the pids, for the user.
	PIDFile, ConmonPIDFile string
	// ConmonCgroup is a cgroup v2 directory conmon is born into, made if it is
	// missing. Empty: conmon stays where we are.
	ConmonCgroup string
	// Place, if set, is called with conmon's pid before conmon starts anything,
	// to put it into a systemd scope, say. An error ends the attempt.
	Place func(ctx context.Context, conmonPID int) error
	// Restore, if set, makes the processes of a checkpoint; they run at once.
	Restore *CheckpointOptions
	// Timeout in seconds after which conmon kills the container; 0 never.
	Timeout uint
	// NotifySocket makes conmon pass the container's READY=1 on to this socket of
	// systemd; the container's side is RunDir/notify/notify.sock.
	NotifySocket string
	// Adopted makes conmon a child of our parent, not ours. A service manager that
	// started us does not wait for the end of a main process that is no child of its.
	// It excludes ConmonCgroup.
	Adopted bool
	// PreserveFDs are descriptors of this process the container gets, by number.
	PreserveFDs []uint
	// Env is added to the runtime's environment for this run.
	Env []string
	// Stdio, three files, is only for LogPassthrough.
	Stdio []*os.File
	// NoPivot and NoNewKeyring pass the runtime's switches of the same names.
	NoPivot, NoNewKeyring bool
}

// Create makes the container of RunDir's bundle: after it the container's first
// process exists and waits for Start. On error nothing of the runtime is left,
// except after a canceled context: then Delete with force.
func (r *Runtime) Create(ctx context.Context, o CreateOptions) (*Created, error) {
	args, err := r.createArgs(o)
	if err != nil {
		return nil, err
	}
	if err := cleanRunDir(ctx, o.RunDir, o.ID); err != nil {
		return nil, err
	}
	m, err := r.spawn(args, spawnOptions{
		dir: o.RunDir, env: r.conmonEnv(o.RunDir, o.Terminal, o.Env),
		gate: o.Place != nil, cgroup: o.ConmonCgroup, stdio: o.Stdio, preserve: o.PreserveFDs, adopted: o.Adopted,
	})
	if err != nil {
		return nil, err
	}
	defer m.close()
	created := &Created{ConmonPID: m.cmd.Process.Pid}
	if o.Place != nil {
		if err := o.Place(ctx, created.ConmonPID); err != nil {
			m.abort()
			return nil, fmt.Errorf("place conmon of container %s: %w", o.ID, err)
		}
		if err := m.release(); err != nil && !errors.Is(err, unix.EPIPE) {
			m.abort()
			return nil, fmt.Errorf("release conmon of container %s: %w", o.ID, err)
		}
	}
	if created.PID, err = m.pid(ctx, r, "create", o.ID); err != nil {
		return nil, err
	}
	if err := writePIDs(o, created); err != nil {
		return nil, errors.Join(err, r.Delete(ctx, o.ID, true))
	}
	return created, nil
}

// createArgs are conmon's arguments for a container.
func (r *Runtime) createArgs(o CreateOptions) ([]string, error) {
	if len(o.Stdio) != 0 && len(o.Stdio) != 3 {
		return nil, fmt.Errorf("container %s: passthrough needs three files, not %d", o.ID, len(o.Stdio))
	}
	if (o.Log.Driver == LogPassthrough) != (len(o.Stdio) == 3) {
		return nil, fmt.Errorf("container %s: log driver passthrough and the caller's streams go together", o.ID)
	}
	if o.Log.Driver == LogPassthrough && o.Terminal {
		return nil, fmt.Errorf("container %s: log driver passthrough does not work with a terminal: drop --tty", o.ID)
	}
	args, err := r.commonArgs(commonOptions{
		id: o.ID, session: o.ID, runDir: o.RunDir, terminal: o.Terminal, stdin: o.Stdin, log: o.Log, exit: o.ExitCommand,
	})
	if err != nil {
		return nil, err
	}
	args = append(args, "-n", o.Name)
	if r.CgroupManager == CgroupSystemd {
		args = append(args, "-s")
	}
	if o.Timeout > 0 {
		args = append(args, "-T", strconv.FormatUint(uint64(o.Timeout), 10))
	}
	args = append(args, preserveArgs(o.PreserveFDs)...)
	if o.NotifySocket != "" {
		args = append(args, "--sdnotify-socket", o.NotifySocket)
	}
	if o.Restore != nil {
		args = append(args, o.Restore.conmonArgs()...)
	}
	if o.NoPivot {
		args = append(args, "--no-pivot")
	}
	if o.NoNewKeyring {
		args = append(args, "--no-new-keyring")
	}
	return args, nil
}

// preserveArgs tell the runtime how far up descriptors are kept.
func preserveArgs(fds []uint) []string {
	if len(fds) == 0 {
		return nil
	}
	count := strconv.FormatUint(uint64(slices.Max(fds)-2), 10)
	return []string{"--runtime-opt", "--preserve-fds", "--runtime-opt", count}
}

// commonOptions are what containers and exec sessions have in common: id names
// the container (and the exit file), session the session or the container again.
type commonOptions struct {
	id, session, runDir string
	terminal, stdin     bool
	log                 Log
	exit                []string
}

// commonArgs are conmon's arguments that containers and exec sessions share.
func (r *Runtime) commonArgs(o commonOptions) ([]string, error) {
	if !filepath.IsAbs(o.runDir) {
		return nil, fmt.Errorf("container %s: run directory %q is not absolute", o.id, o.runDir)
	}
	level := r.LogLevel
	if level == "" {
		level = "error"
	}
	args := []string{
		"--api-version", "1",
		"-c", o.id, "-u", o.session,
		"-r", r.program(),
		"-b", o.runDir,
		"-p", filepath.Join(o.runDir, pidFile),
		"--exit-dir", o.runDir,
		"--full-attach",
		"--sync",
		// Logs are not worth an fsync on the way out: they survive a kill, and
		// after a power cut their last lines do not matter.
		"--no-sync-log",
		"--log-level", level,
	}
	logArgs, err := o.log.args()
	if err != nil {
		return nil, err
	}
	args = append(args, logArgs...)
	for _, a := range r.globalArgs() {
		args = append(args, "--runtime-arg", a)
	}
	if o.terminal || o.log.Driver == LogPassthrough {
		// Once a runtime has the terminal or the caller's streams, its errors go
		// there and not to conmon.
		for _, a := range []string{"--log", filepath.Join(o.runDir, runtimeLog), "--log-format", "json"} {
			args = append(args, "--runtime-arg", a)
		}
	}
	// With -i conmon closes the container's input when a client goes away, which
	// must not happen to a terminal that one detaches from.
	if o.terminal {
		args = append(args, "-t")
	} else if o.stdin {
		args = append(args, "-i")
	}
	if len(o.exit) > 0 {
		args = append(args, "--exit-command", o.exit[0])
		for _, a := range o.exit[1:] {
			args = append(args, "--exit-command-arg", a)
		}
	}
	return args, nil
}

// conmonEnv adds to the environment a private place for the socket over which
// the runtime hands the terminal to conmon, which otherwise lies in /tmp under
// a name others can race for. The path must fit into a socket address.
func (r *Runtime) conmonEnv(runDir string, terminal bool, extra []string) []string {
	env := append(append([]string(nil), r.env()...), extra...)
	const room = len(unix.RawSockaddrUnix{}.Path) - len("/conmon-term.XXXXXX") - 1
	if terminal && len(runDir) <= room {
		env = append(env, "TMPDIR="+runDir)
	}
	return env
}

// cleanRunDir removes what an earlier run left in the directory: a stale exit
// file would be taken for the new one's.
func cleanRunDir(ctx context.Context, runDir, id string) error {
	if err := awaitOldConmon(ctx, runDir); err != nil {
		return fmt.Errorf("container %s: %w", id, err)
	}
	for _, name := range []string{id, oomFile, pidFile, attachSocket, ctlFifo, winszFifo, runtimeLog} {
		if err := os.Remove(filepath.Join(runDir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// awaitOldConmon waits until the conmon of an earlier run has removed its attach
// socket, which it does after it has written the exit file: a restart can be
// quicker, and the old conmon would then remove the new one's. One that was
// killed removes nothing and is not waited for. Waiting for its end instead
// would wait for its exit command, which may be what is calling us.
func awaitOldConmon(ctx context.Context, runDir string) error {
	old, err := readConmonID(runDir)
	if err != nil {
		return nil //nolint:nilerr // nothing ran here before
	}
	for begin := time.Now(); ; time.Sleep(100 * time.Microsecond) {
		if _, err := os.Lstat(AttachSocket(runDir)); err != nil || !old.Alive() {
			return nil //nolint:nilerr // gone; any other trouble comes up when it is made anew
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Since(begin) > 5*time.Second {
			return fmt.Errorf("the monitor of its last run, process %d, has not ended", old.PID)
		}
	}
}

// writeConmonID notes which conmon belongs to a RunDir.
func writeConmonID(runDir string, pid int) error {
	id, err := process.Of(pid)
	if err != nil {
		return nil //nolint:nilerr // it has ended already, and its pipe will tell
	}
	return writeID(filepath.Join(runDir, conmonFile), id)
}

// readConmonID is the conmon writeConmonID noted last.
func readConmonID(runDir string) (process.ID, error) {
	return readID(filepath.Join(runDir, conmonFile))
}

// writePIDs writes the copies of the pids the user asked for.
func writePIDs(o CreateOptions, c *Created) error {
	for _, f := range []struct {
		path string
		pid  int
	}{{o.PIDFile, c.PID}, {o.ConmonPIDFile, c.ConmonPID}} {
		if f.path == "" {
			continue
		}
		if err := os.WriteFile(f.path, []byte(strconv.Itoa(f.pid)), 0o644); err != nil { //nolint:gosec // the user's supervisors read it
			return fmt.Errorf("write pid file: %w", err)
		}
	}
	return nil
}

package libpod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rootless-pod/pod/internal/journal"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/logs"
	"github.com/rootless-pod/pod/pkg/ociruntime"
	"github.com/rootless-pod/pod/pkg/ociruntime/attach"
	"github.com/rootless-pod/pod/pkg/specgen"
	"github.com/rootless-pod/pod/pkg/timer"
)

// defaultLog fills what containers.conf says of logs, and refuses a journal that
// was asked for and cannot be read back. One that is only configured gives way
// to a file.
func (e *Engine) defaultLog(spec *specgen.Container) error {
	log := &spec.Log
	switch log.Driver {
	case "journald":
		if err := journal.Readable("/", e.Session.HostUID); err != nil {
			return fmt.Errorf("--log-driver journald: its logs could not be read back: %w", err)
		}
	case "":
		log.Driver = e.Config.Containers.LogDriver
		if (log.Driver == "" || log.Driver == "journald") && !e.journalKeeps(log) {
			log.Driver = "k8s-file"
		}
	}
	if log.Driver == "" {
		log.Driver = "journald"
	}
	if log.MaxSize == 0 && log.File() && e.Config.Containers.LogSizeMax > 0 {
		log.MaxSize = e.Config.Containers.LogSizeMax
	}
	if log.MaxFiles == 0 && (log.MaxSize > 0 || log.MaxAge > 0) {
		log.MaxFiles = specgen.DefaultLogFiles
	}
	if log.Driver == "none" && !spec.Pause() && spec.Restart != "" && spec.Restart != "no" && e.Warn != nil {
		e.Warn("--log-driver none keeps nothing: pod logs will not tell why the container was restarted")
	}
	return spec.CheckLog()
}

// journalKeeps tells whether the journal does for a log what was asked for. Only
// a file can be rotated, or have a path.
func (e *Engine) journalKeeps(log *specgen.Log) bool {
	if log.MaxSize > 0 || log.MaxAge > 0 || log.Path != "" {
		return false
	}
	return journal.Readable("/", e.Session.HostUID) == nil
}

// containerLog is where the output goes. A log file lies beside the container's
// layer, not in the run directory: it would be memory there.
func (e *Engine) containerLog(c *state.Container) (ociruntime.Log, error) {
	spec := &c.Spec.Log
	log := ociruntime.Log{Driver: spec.Driver, Tag: spec.Tag}
	switch {
	case spec.Passthrough():
		log.Driver = ociruntime.LogPassthrough
	case spec.File():
		log.Driver = ociruntime.LogK8sFile
	}
	if log.Driver != ociruntime.LogK8sFile {
		return log, nil
	}
	log.Path = e.LogPath(c)
	if err := os.MkdirAll(filepath.Dir(log.Path), 0o700); err != nil {
		return log, fmt.Errorf("make directory of the log: %w", err)
	}
	return log, nil
}

// LogPath is the log file of a container; empty when its driver writes none.
func (e *Engine) LogPath(c *state.Container) string {
	switch {
	case !c.Spec.Log.File():
		return ""
	case c.Spec.Log.Path != "":
		return c.Spec.Log.Path
	}
	return filepath.Join(e.logDir(c.ID), "ctr.log")
}

// logDir holds the log of a container that has no place of its own for it.
func (e *Engine) logDir(id string) string { return filepath.Join(e.GraphRoot, "pod", "logs", id) }

// LogSource says where a container's output is to be read.
func (e *Engine) LogSource(c *state.Container) logs.Source {
	return logs.Source{Driver: c.Spec.Log.Driver, Path: e.LogPath(c), ID: c.ID, HostUID: e.Session.HostUID}
}

// rotateLog has the watcher look after the log of a run whose conmon is there. It
// ends with that conmon. A log that is not rotated loses nothing.
func (e *Engine) rotateLog(ctx context.Context, c *state.Container) {
	log := &c.Spec.Log
	if !log.File() || log.MaxSize == 0 && log.MaxAge == 0 {
		return
	}
	err := e.timers().Rotate(ctx, timer.Rotation{
		Name: "log-" + c.ID, Path: e.LogPath(c), Control: ociruntime.Ctl(e.paths.container(c.ID)),
		MaxSize: log.MaxSize, MaxAge: log.MaxAge, MaxFiles: max(log.MaxFiles, 1),
	})
	if err != nil && e.Warn != nil {
		e.Warn("the log of container " + c.Name + " is not rotated: " + err.Error())
	}
}

// streamsOf are the files that conmon takes over for a container that has its
// caller's streams; nil for others.
func (e *Engine) streamsOf(c *state.Container) []*os.File {
	if !c.Spec.Log.Passthrough() {
		return nil
	}
	return e.Stdio[:]
}

// stayBeside is what attach is for a container that has this process's own
// streams: signals are passed on, and its end is waited for.
func (e *Engine) stayBeside(ctx context.Context, c *state.Container, a *AttachOptions, begin func() error) error {
	if begin == nil {
		return fmt.Errorf("attaching to container %s: this container is using the '%s' log driver, cannot attach: %w",
			c.Name, c.Spec.Log.Driver, logs.ErrNoLog)
	}
	// Caught before the container can say that it is ready, delivered when it runs.
	var kill func(syscall.Signal) error
	if a.SigProxy {
		kill = func(sig syscall.Signal) error { return e.signal(ctx, c, sig, false) }
	}
	proxy, err := attach.CatchSignals(kill)
	if err != nil {
		return err
	}
	defer proxy.Stop()
	if err := begin(); err != nil {
		return err
	}
	proxy.Run()
	_, err = ociruntime.WaitExit(ctx, e.paths.container(c.ID), c.ID, c.Run.Init, c.Run.Conmon)
	return err
}

// restartLook is between two looks at a container whose policy starts it again.
const restartLook = 200 * time.Millisecond

// LogEnded waits until nothing more will be written to the container's log: until
// a container that runs has ended and is not being started again, by a command
// that holds its lock or by its policy.
func (e *Engine) LogEnded(ctx context.Context, c *state.Container) error {
	for {
		if c.Run != nil && c.Run.Init.PID != 0 {
			if _, err := ociruntime.WaitExit(ctx, e.paths.container(c.ID), c.ID, c.Run.Init, c.Run.Conmon); err != nil {
				return err
			}
		}
		if c.Run == nil && !wantsRestart(c) {
			return nil
		}
		next, err := e.afterRun(ctx, c.ID)
		if next == nil || err != nil {
			return err
		}
		c = next
		if c.Run == nil && c.Wanted && wantsRestart(c) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(restartLook):
			}
		} else if c.Run == nil {
			return nil
		}
	}
}

// afterRun is what a container is after a run, and after the command that
// restarts it if there is one; nil if it is no more.
func (e *Engine) afterRun(ctx context.Context, id string) (*state.Container, error) {
	restart, err := e.lock(ctx, restartLock(id))
	if err != nil {
		return nil, err
	}
	e.unlock(restart)
	lock, err := e.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer e.unlock(lock)
	c, err := e.settle(ctx, id)
	if isAbsent(err) {
		return nil, nil //nolint:nilnil // no more
	}
	return c, err
}

// restartLock is held by a command that stops a container and starts it again.
func restartLock(id string) string { return id + ".restart" }

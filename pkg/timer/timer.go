// Package timer runs pod commands later, without a process of Go that waits for
// them: as transient timers of the user's systemd where that answers, elsewhere
// by the watcher, a small process of this program's C part (rootless/nsenter)
// of which a user has one at most. It owns jobs, their files and the watcher's
// start; what a job does is its command's matter.
package timer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/internal/step"
)

// Job runs a pod command later, in a process of its own; nothing of Go waits
// for it. A run that is under way when its job is replaced or cleared goes on;
// one that was killed by a signal is tried again, so a run must be safe to repeat.
type Job struct {
	// Name is unique in a store: letters, digits, '_' and '-'.
	Name string
	// After is from now until the first run.
	After time.Duration
	// Every is from the end of one run to the next; 0: it runs once.
	Every time.Duration
	// Args are the arguments of pod.
	Args []string
}

// Rotation keeps a log file small: it is renamed when it has grown to MaxSize or
// is MaxAge old, and conmon is told by Control to open a new one. Only the
// watcher does these.
type Rotation struct {
	Name string
	// Path is the log, Control conmon's control FIFO.
	Path, Control string
	MaxSize       int64
	MaxAge        time.Duration
	MaxFiles      int
}

// Options are what Timers stand on.
type Options struct {
	// Store tells the stores of one user apart, in the names of units and files.
	Store string
	// Self is the path of this program.
	Self string
	// HostUID and RunBase are the user's id and run directory.
	HostUID int
	RunBase string
	// Environ is the environment to pick a job's from.
	Environ []string
	// Place puts a new watcher where it outlives this login; nil: it stays.
	Place func(ctx context.Context, pid int) error
	// Watcher is to be used even where systemd answers.
	Watcher bool
}

// Timers are the jobs of one store.
type Timers struct{ Options }

// EnvBackend names the variable of the environment that, set to "watcher", has
// jobs run by the watcher although systemd answers. It is for tests.
const EnvBackend = "POD_TIMERS"

// New returns the timers of a store.
func New(opts Options) *Timers { return &Timers{Options: opts} }

var errName = errors.New("it is not made of 1 to 128 letters, digits, '_' and '-' alone")

// check is written out: a pattern would be compiled at each start of pod.
func check(name string) error {
	odd := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
	}
	if len(name) < 1 || len(name) > 128 || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("name timer %q: %w", name, errName)
	}
	return nil
}

// Set makes a job, in the place of one of its name.
func (t *Timers) Set(ctx context.Context, j Job) error {
	if err := check(j.Name); err != nil {
		return err
	}
	return step.Do(ctx, "timer.set", func() error {
		if manager, ok := t.systemd(); ok {
			err := t.setUnit(ctx, manager, j)
			if err == nil {
				return t.removeFile(j.Name) // of a time without systemd
			}
			if !errors.Is(err, scope.ErrNoManager) {
				return fmt.Errorf("set timer %s: %w", j.Name, err)
			}
		}
		if err := t.writeFile(j.Name, t.jobFields(j)); err != nil {
			return fmt.Errorf("set timer %s: %w", j.Name, err)
		}
		return t.ensureWatcher(ctx)
	})
}

// Rotate has the watcher look after a log file, in the place of a rotation of
// the same name. Clear ends it, and so does the end of the log's conmon.
func (t *Timers) Rotate(ctx context.Context, r Rotation) error {
	if err := check(r.Name); err != nil {
		return err
	}
	return step.Do(ctx, "timer.rotate", func() error {
		if err := t.writeFile(r.Name, rotationFields(r)); err != nil {
			return fmt.Errorf("set rotation %s: %w", r.Name, err)
		}
		return t.ensureWatcher(ctx)
	})
}

// Clear removes jobs. One that is not there is no error.
func (t *Timers) Clear(ctx context.Context, names ...string) error {
	return step.Do(ctx, "timer.clear", func() error {
		var errs []error
		for _, name := range names {
			if err := check(name); err != nil {
				return err
			}
			errs = append(errs, t.removeFile(name))
		}
		if manager, ok := t.systemd(); ok {
			err := t.clearUnits(ctx, manager, names)
			if !errors.Is(err, scope.ErrNoManager) {
				errs = append(errs, err)
			}
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("clear timers: %w", err)
		}
		return nil
	})
}

// Resume starts the watcher if there are jobs for it and it is gone.
func (t *Timers) Resume(ctx context.Context) error {
	if names, err := t.fileNames(); err != nil || len(names) == 0 {
		return err
	}
	return t.ensureWatcher(ctx)
}

func (t *Timers) systemd() (scope.Manager, bool) {
	if t.Watcher || os.Getenv(EnvBackend) == "watcher" {
		return scope.Manager{}, false
	}
	return scope.Find(t.HostUID, t.RunBase)
}

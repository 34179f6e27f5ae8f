package libpod

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rootless-pod/pod/pkg/timer"
)

// timers are the jobs of this store.
func (e *Engine) timers() *timer.Timers {
	opts := timer.Options{
		Store: filepath.Base(e.paths.run), Self: e.Self[0], HostUID: e.Session.HostUID, RunBase: e.Session.RunBase,
		Environ: os.Environ(),
	}
	opts.Place = func(ctx context.Context, pid int) error {
		if plan := e.cgroupPlan(); plan.shared != "" {
			return e.supervise(ctx, plan.shared, pid)
		}
		return nil
	}
	return timer.New(opts)
}

// resumeTimers sees to it that jobs have their watcher. It costs two system
// calls where there are none.
func (e *Engine) resumeTimers(ctx context.Context) {
	if len(e.Self) == 0 {
		return // an engine that is only looked at
	}
	if err := e.timers().Resume(ctx); err != nil && e.Warn != nil {
		e.Warn(err.Error())
	}
}

// job is a job that runs this program, on this store, with args.
func (e *Engine) job(name string, after, every time.Duration, args ...string) timer.Job {
	return timer.Job{Name: name, After: after, Every: every, Args: slices.Concat(e.Self[1:], args)}
}

package build

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"go.podman.io/buildah/define"
	"go.podman.io/storage"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"
)

const (
	// anyJobs stands for --jobs 0: as many as there are stages.
	anyJobs = 1 << 20
	// stopWithin is how long stages may take to end when one has failed.
	stopWithin = 15 * time.Second
	// stopAgain is the time between two signals to steps that run on.
	stopAgain = 100 * time.Millisecond
)

// Interrupted is the error of a build that a signal has ended.
type Interrupted struct{ Signal syscall.Signal }

func (i Interrupted) Error() string { return "the build was interrupted: " + i.Signal.String() }

// ExitCode is what a shell reports of a program that died of the signal.
func (i Interrupted) ExitCode() int { return 128 + int(i.Signal) }

// Interruptible is a context that a signal ends, with Interrupted as its cause, until
// stop: for what comes before Run, which listens itself.
func Interruptible(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, listen(ctx, cancel)
}

// listen cancels ctx when a signal comes, until stop.
func listen(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case sig := <-signals:
			cancel(Interrupted{sig.(syscall.Signal)}) //nolint:errcheck // signals of this system are these
		case <-ctx.Done():
		}
	}()
	return func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// stages is what is needed to end all stages of a build together. buildah returns
// when one of them has failed, and leaves the others running; the program's end
// would leave their containers and mounts behind.
type stages struct {
	store storage.Store
	// running has a unit for each stage that may run.
	running *semaphore.Weighted
	jobs    int64
	// suffix is in the names of the build's containers and of no others.
	suffix string
	// deaf ends the listening to signals.
	deaf   func()
	ctx    context.Context //nolint:containedctx // it is the build's, made here
	cancel context.CancelCauseFunc
}

// watch prepares opts for a build whose stages can be ended.
func watch(ctx context.Context, store storage.Store, opts *define.BuildOptions) (*stages, error) {
	s := &stages{
		store: store, jobs: 1, suffix: "working-container-" + strings.ToLower(rand.Text()[:8]),
	}
	if opts.Jobs != nil {
		if *opts.Jobs < 0 {
			return nil, fmt.Errorf("--jobs %d: must not be negative", *opts.Jobs)
		}
		s.jobs = int64(*opts.Jobs)
	}
	if s.jobs == 0 {
		s.jobs = anyJobs
	}
	s.running = semaphore.NewWeighted(s.jobs)
	opts.JobSemaphore, opts.ContainerSuffix = s.running, s.suffix
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	// buildah listens too while a step runs, and hands the signal on to it.
	s.deaf = listen(s.ctx, s.cancel) //nolint:contextcheck // made of ctx above
	return s, nil
}

// end says why the build has ended; err is buildah's word.
func (s *stages) end(err error) error {
	s.cancel(err) // a signal that came before stays the cause
	var interrupted Interrupted
	if err != nil && errors.As(context.Cause(s.ctx), &interrupted) {
		return interrupted
	}
	return err
}

// close ends what a build that has not worked leaves.
func (s *stages) close(err error) error {
	defer s.deaf()
	if err == nil {
		return nil
	}
	return errors.Join(err, s.wait(), s.remove())
}

// wait waits until no stage runs. Steps are told by the signal that buildah hands
// on to them; there is no other way to reach them.
func (s *stages) wait() error {
	for end := time.Now().Add(stopWithin); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), stopAgain)
		err := s.running.Acquire(ctx, s.jobs)
		cancel()
		killUnstarted()
		if err == nil {
			return nil
		}
		if err := unix.Kill(os.Getpid(), unix.SIGTERM); err != nil {
			return fmt.Errorf("end the steps that run: %w", err)
		}
	}
	return errors.New("other stages of the build have not ended: `pod system prune --build` removes what they leave")
}

// remove removes containers that stages have made after buildah's own clean-up.
func (s *stages) remove() error {
	containers, err := s.store.Containers()
	if err != nil {
		return fmt.Errorf("list containers of the build: %w", err)
	}
	var errs []error
	for _, c := range containers {
		for _, name := range c.Names {
			if !strings.Contains(name, s.suffix) {
				continue
			}
			_, _ = s.store.Unmount(c.ID, true) // it may not be mounted
			if err := s.store.DeleteContainer(c.ID); err != nil && !errors.Is(err, storage.ErrContainerUnknown) {
				errs = append(errs, fmt.Errorf("remove container %s of the build: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

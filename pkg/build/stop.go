package build

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
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
	// stopAgain is the time between two signals to steps that run on (buildah looks ten
	// times a second whether they do), stopLook that between two looks here.
	stopAgain = 500 * time.Millisecond
	stopLook  = 5 * time.Millisecond
	// ownSignal is the one that this process sends itself, see press.
	ownSignal = unix.SIGTERM
	// spareJobs is how many places a stage may give back that it does not have.
	spareJobs = 1 << 10
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
	deaf := listen(func(i Interrupted, _ <-chan struct{}) { cancel(i) })
	return ctx, func() {
		deaf()
		cancel(nil)
	}
}

// listen has one goroutine hear of the first signal, and go on until over is closed, which
// deaf does. buildah listens too while a step runs, and hands the signal on to it.
func listen(heard func(i Interrupted, over <-chan struct{})) (deaf func()) {
	signals, over := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case sig := <-signals:
			heard(Interrupted{sig.(syscall.Signal)}, over) //nolint:errcheck // signals of this system are these
		case <-over:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(over)
	}
}

// errHalted ends stages when another one has failed.
var errHalted = errors.New("the build ends, for another stage has failed")

// stages is what is needed to end all stages of a build together. buildah returns when
// one of them has failed, and leaves the others running: it removes the containers below
// them, which makes it panic (stageExecutor.Delete), and the program's end would leave
// what they make behind. When its context is canceled, a stage that waits for another
// gives back its place among the jobs twice (executor.waitForStage), which would panic
// too if there were none to spare.
//
// So stages are ended by what they ask for: the store makes nothing more for them, the
// steps that run get a signal, and the first removal of a container that a stage still
// works in waits until the stage has ended.
type stages struct {
	store storage.Store
	// suffix is in the names of the build's containers and of no others.
	suffix string
	// deaf ends the listening to signals.
	deaf   func()
	ctx    context.Context //nolint:containedctx // it is the build's, made here
	cancel context.CancelFunc

	mu       sync.Mutex
	halted   bool
	pressed  bool
	received *Interrupted
	// hush keeps stages that are being ended from telling of it.
	hush func()
	// makers are the goroutines that have made the working containers.
	makers map[string]string
	// ever are the ids of all working containers, which are those of their layers.
	ever map[string]bool
}

// watch prepares opts for a build whose stages can be ended.
func watch(ctx context.Context, opts *define.BuildOptions) (*stages, error) {
	s := &stages{
		suffix: "working-container-" + strings.ToLower(rand.Text()[:8]), hush: func() {}, makers: map[string]string{}, ever: map[string]bool{},
	}
	jobs := int64(1)
	if opts.Jobs != nil {
		if *opts.Jobs < 0 {
			return nil, fmt.Errorf("--jobs %d: must not be negative", *opts.Jobs)
		}
		jobs = int64(*opts.Jobs)
	}
	if jobs == 0 {
		jobs = anyJobs
	}
	running := semaphore.NewWeighted(jobs + spareJobs)
	running.TryAcquire(spareJobs)
	opts.JobSemaphore, opts.ContainerSuffix = running, s.suffix
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.deaf = listen(func(i Interrupted, over <-chan struct{}) {
		if s.halt(&i) {
			s.interrupt(over)
		}
	})
	return s, nil
}

// release gives back what watch has taken.
func (s *stages) release() {
	s.deaf()
	s.cancel()
}

// begins tells what the stages work with, before the first one does.
func (s *stages) begins(layers storage.Store, hush func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store, s.hush = layers, hush
	if s.halted {
		hush()
	}
}

// interrupt ends the stages until the build has ended.
func (s *stages) interrupt(over <-chan struct{}) {
	s.cancel()
	for again := time.Tick(stopAgain); ; {
		select {
		case <-again:
			s.press() // a step may have been started after the signal
		case <-over:
			return
		}
	}
}

// halt keeps the stages from making anything more, because of a signal or a failure
// (nil). It says whether it is the first to do so.
func (s *stages) halt(why *Interrupted) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.halted {
		if s.received == nil && why != nil && (!s.pressed || why.Signal != ownSignal) {
			s.received = why // what failed was ended by the same signal, and was faster
		}
		return false
	}
	s.halted, s.received = true, why
	s.hush()
	return true
}

// press ends the steps that run: by the signal that buildah hands on to them; there is
// no other way to reach them.
func (s *stages) press() {
	killUnstarted()
	s.mu.Lock()
	s.pressed = true
	s.mu.Unlock()
	_ = unix.Kill(os.Getpid(), ownSignal) // it is this process
}

// goOn is asked before something is made for a stage.
func (s *stages) goOn() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.halted:
		return nil
	case s.received != nil:
		return *s.received
	}
	return errHalted
}

// made is told that this goroutine, a stage's, has made a working container.
func (s *stages) made(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makers[id], s.ever[id] = goroutine(), true
}

// dropping is told that a working container is about to be removed. If a stage works in
// it still, and this is not that stage, the build has failed elsewhere: all stages are
// ended, this one before its container goes.
func (s *stages) dropping(id string) {
	s.mu.Lock()
	maker := s.makers[id]
	delete(s.makers, id)
	s.mu.Unlock()
	if maker == "" || maker == goroutine() || !stagesRunning()[maker] {
		return
	}
	s.halt(nil)
	_ = s.until(func(running map[string]bool) bool { return !running[maker] }) // close tells of those that run on
}

// until waits for the stages to end, as many as done wants.
func (s *stages) until(done func(running map[string]bool) bool) error {
	var pressed time.Time
	for end := time.Now().Add(stopWithin); time.Now().Before(end); time.Sleep(stopLook) {
		if done(stagesRunning()) {
			return nil
		}
		if time.Since(pressed) > stopAgain {
			s.press()
			pressed = time.Now()
		}
	}
	return errors.New("other stages of the build have not ended: `pod system prune --build` removes what they leave")
}

// end says why the build has ended; err is buildah's word.
func (s *stages) end(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.received != nil {
		return *s.received
	}
	return err
}

// close ends what a build that has not worked leaves.
func (s *stages) close(err error) error {
	if err == nil {
		return nil
	}
	s.halt(nil)
	waited := s.until(func(running map[string]bool) bool { return len(running) == 0 })
	killUnstarted()
	s.mu.Lock()
	killInside(s.ever)
	s.mu.Unlock()
	return errors.Join(err, waited, s.remove())
}

// remove removes containers that stages have made after buildah's own clean-up.
func (s *stages) remove() error {
	containers, err := s.store.Containers()
	if err != nil {
		return fmt.Errorf("list containers of the build: %w", err)
	}
	s.mu.Lock()
	clear(s.makers)
	s.mu.Unlock()
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

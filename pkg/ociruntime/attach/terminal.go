package attach

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// maxWindow is the largest row or column number conmon accepts.
const maxWindow = 1000

// terminal puts the caller's terminal into raw mode if its keys go to the
// container's, and lets the container's window follow. The function it returns
// undoes all of it.
func (s *session) terminal() (stop func(), err error) {
	if !s.o.Terminal {
		return func() {}, nil
	}
	in, _ := s.o.Streams.In.(*os.File)
	out, _ := s.o.Streams.Out.(*os.File)
	window := out
	var saved *term.State
	if in != nil && term.IsTerminal(int(in.Fd())) {
		window = in
		if saved, err = term.MakeRaw(int(in.Fd())); err != nil {
			return nil, fmt.Errorf("set terminal to raw mode: %w", err)
		}
	}
	if window == nil || !term.IsTerminal(int(window.Fd())) {
		return func() {}, nil
	}
	s.resize(window)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGWINCH, unix.SIGCONT)
	if saved != nil && s.o.Kill == nil {
		signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	}
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		s.followTerminal(signals, done, window, saved != nil)
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-finished // it must not make the terminal raw again after this
		if saved != nil {
			_ = term.Restore(int(in.Fd()), saved)
		}
	}, nil
}

// followTerminal handles the signals that concern the terminal until done.
func (s *session) followTerminal(signals <-chan os.Signal, done <-chan struct{}, window *os.File, raw bool) {
	for {
		select {
		case <-done:
			return
		case sig := <-signals:
			switch sig {
			case unix.SIGWINCH:
				s.resize(window)
			case unix.SIGCONT: // the shell has set its own mode meanwhile
				if raw {
					_, _ = term.MakeRaw(int(window.Fd()))
				}
				s.resize(window)
			default:
				if number, ok := sig.(syscall.Signal); ok {
					s.signal.Store(int32(number))
				}
				s.interrupt()
			}
		}
	}
}

// resize tells conmon the size of the caller's window. A window that cannot be
// asked, or a conmon that has ended, is no reason to end an attachment.
func (s *session) resize(window *os.File) {
	cols, rows, err := term.GetSize(int(window.Fd()))
	if err != nil || s.o.Ctl == "" || cols == 0 || rows == 0 {
		return
	}
	_ = Resize(s.o.Ctl, rows, cols)
}

// Resize sets the window size of a container's terminal.
func Resize(ctl string, rows, cols int) error {
	if rows < 1 || cols < 1 || rows > maxWindow || cols > maxWindow {
		return fmt.Errorf("window size %dx%d: rows and columns go from 1 to %d", rows, cols, maxWindow)
	}
	return control(ctl, fmt.Sprintf("1 %d %d\n", rows, cols))
}

// ReopenLog makes conmon open a container's log file anew, after a rotation.
func ReopenLog(ctl string) error { return control(ctl, "2 0 0\n") }

// control writes one message to conmon's fifo and never waits for a reader:
// when conmon has ended there is none.
func control(ctl, message string) error {
	fifo, err := os.OpenFile(ctl, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("control %s: conmon has ended", ctl)
	}
	if err != nil {
		return err
	}
	defer fifo.Close()
	_, err = fifo.WriteString(message)
	return err
}

package attach

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/sigcatch"
)

// keptSignals are not passed on: those that cannot be caught, those the kernel
// or Go's scheduler send this process for itself, and the window's.
func keptSignals() map[syscall.Signal]bool {
	return map[syscall.Signal]bool{
		unix.SIGKILL: true, unix.SIGSTOP: true,
		unix.SIGCHLD: true, unix.SIGURG: true, unix.SIGPIPE: true, unix.SIGPROF: true,
		unix.SIGWINCH: true, unix.SIGTTIN: true, unix.SIGTTOU: true,
		// Continuing a stopped client must not look like an order to the container.
		unix.SIGCONT: true,
	}
}

// ProxiedSignals are the signals ProxySignals passes on, real-time ones included.
func ProxiedSignals() []syscall.Signal {
	kept := keptSignals()
	var passed []syscall.Signal
	for number := syscall.Signal(1); number <= 64; number++ {
		// 32 and 33 belong to the C library's threads.
		if !kept[number] && number != 32 && number != 33 {
			passed = append(passed, number)
		}
	}
	return passed
}

// Proxy passes signals on; it catches them from its creation and delivers them
// from Run on, so that none is lost while the container starts.
type Proxy struct{ kill func(syscall.Signal) error }

// CatchSignals begins to catch the signals of ProxiedSignals, for kill; a nil kill gives a
// proxy that does nothing. A process has one proxy at a time.
func CatchSignals(kill func(syscall.Signal) error) (*Proxy, error) {
	if kill != nil {
		if err := sigcatch.Catch(ProxiedSignals()); err != nil {
			return nil, err
		}
	}
	return &Proxy{kill}, nil
}

// Run delivers signals in the background until Stop. Errors of kill are dropped: a
// container that has just ended takes no signals.
func (p *Proxy) Run() {
	if p.kill == nil {
		return
	}
	go func() {
		for {
			sig, err := sigcatch.Next()
			if err != nil {
				return
			}
			_ = p.kill(sig)
		}
	}()
}

// Stop ends catching and delivering.
func (p *Proxy) Stop() {
	if p.kill != nil {
		sigcatch.Stop()
	}
}

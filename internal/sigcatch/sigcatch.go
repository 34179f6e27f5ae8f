// Package sigcatch catches many signals at little cost. os/signal hands each signal that is
// asked for from one thread to another and back, and again when it is over: 3 ms of processor
// time for the fifty that are passed on to a container. Few signals are os/signal's.
package sigcatch

// #cgo CFLAGS: -std=gnu11 -Wall
// #include "catch.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errCatching is that of a second Catch without a Stop between.
var errCatching = errors.New("signals are being caught already")

// pipe leads from the handler to Next. It is made once and never closed: a handler may
// still be about to write on another thread when its signal is given back.
var pipe struct { //nolint:gochecknoglobals // signals are the process's
	sync.Mutex
	read *os.File
	fds  [2]int
	busy bool
}

// Catch begins to catch signals, which must not be asked for from os/signal meanwhile, until
// Stop. Faults of the program itself stay Go's, whatever is asked for. It may not be called
// again before Stop.
func Catch(signals []syscall.Signal) error {
	pipe.Lock()
	defer pipe.Unlock()
	if pipe.busy {
		return errCatching
	}
	if pipe.read == nil {
		// A handler must not wait.
		if err := unix.Pipe2(pipe.fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			return fmt.Errorf("catch signals: %w", err)
		}
		pipe.read = os.NewFile(uintptr(pipe.fds[0]), "signals")
	}
	drain(pipe.fds[0])
	if err := pipe.read.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("catch signals: %w", err)
	}
	numbers := make([]byte, len(signals))
	for i, signal := range signals {
		numbers[i] = byte(signal)
	}
	C.pod_catch(C.int(pipe.fds[1]), (*C.uchar)(unsafe.SliceData(numbers)), C.size_t(len(numbers)))
	pipe.busy = true
	return nil
}

// drain forgets what came for an earlier Catch.
func drain(fd int) {
	var old [64]byte
	for {
		if n, err := unix.Read(fd, old[:]); n <= 0 || err != nil {
			return
		}
	}
}

// Next waits for a signal. It fails after Stop.
func Next() (syscall.Signal, error) {
	var number [1]byte
	if _, err := pipe.read.Read(number[:]); err != nil {
		return 0, err
	}
	return syscall.Signal(number[0]), nil
}

// Stop gives the signals back and ends Next.
func Stop() {
	pipe.Lock()
	defer pipe.Unlock()
	if pipe.busy {
		C.pod_release()
		_ = pipe.read.SetReadDeadline(time.Unix(1, 0))
		pipe.busy = false
	}
}

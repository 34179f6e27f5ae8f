package sigcatch

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// send sends a signal to the thread it runs on, which has it before send returns.
func send(t *testing.T, sig syscall.Signal) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), sig); err != nil {
		t.Fatal(err)
	}
}

func TestCatch(t *testing.T) {
	signals := []syscall.Signal{unix.SIGUSR1, unix.SIGTERM, 40, 64}
	if err := Catch(signals); err != nil {
		t.Fatal(err)
	}
	defer Stop()
	if err := Catch(signals); !errors.Is(err, errCatching) {
		t.Errorf("a second Catch gives %v", err)
	}
	for _, want := range signals {
		send(t, want)
		if got, err := Next(); got != want || err != nil {
			t.Errorf("sent %d, got %d, %v", want, got, err)
		}
	}
}

// A process that was started with a signal blocked has it blocked in all its threads.
func TestCatchBlocked(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: its mask has changed
	blocked := unix.Sigset_t{}
	blocked.Val[0] = 1 << (unix.SIGUSR2 - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
		t.Fatal(err)
	}
	if err := Catch([]syscall.Signal{unix.SIGUSR2}); err != nil {
		t.Fatal(err)
	}
	defer Stop()
	send(t, unix.SIGUSR2)
	if got, err := Next(); got != unix.SIGUSR2 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestStopGivesBack(t *testing.T) {
	theirs := make(chan os.Signal, 1)
	signal.Notify(theirs, unix.SIGUSR1)
	defer signal.Stop(theirs)
	if err := Catch([]syscall.Signal{unix.SIGUSR1}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := Next()
		ended <- err
	}()
	Stop()
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Next after Stop gives %v", err)
	}
	send(t, unix.SIGUSR1)
	select {
	case <-theirs:
	case <-time.After(10 * time.Second):
		t.Error("the signal did not come back")
	}
}

func TestNothingOld(t *testing.T) {
	if err := Catch([]syscall.Signal{unix.SIGUSR1}); err != nil {
		t.Fatal(err)
	}
	send(t, unix.SIGUSR1)
	Stop()
	if err := Catch([]syscall.Signal{unix.SIGUSR1, unix.SIGUSR2}); err != nil {
		t.Fatal(err)
	}
	defer Stop()
	send(t, unix.SIGUSR2)
	if got, err := Next(); got != unix.SIGUSR2 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

// A program that goes wrong while signals are caught must still say where.
func TestFaultStaysGos(t *testing.T) {
	if err := Catch([]syscall.Signal{unix.SIGSEGV, unix.SIGFPE}); err != nil {
		t.Fatal(err)
	}
	defer Stop()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		send(t, unix.SIGSEGV)
		if got, err := Next(); got != unix.SIGSEGV || err != nil {
			t.Errorf("sent by somebody: got %d, %v", got, err)
		}
	}()
	var nothing *int
	*nothing = 1 //nolint:govet // that is what is tried
}

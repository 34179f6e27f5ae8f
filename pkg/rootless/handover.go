package rootless

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/rootless-pod/pod/internal/self"
)

// envWhole keeps pod's constructor from executing quick again, and tells it what it
// cannot see any more: take_over in nsenter/enter.c reads it.
const envWhole = "_POD_WHOLE"

// errNotInstalled says that there is no pod to hand over to.
var errNotInstalled = errors.New("this program belongs below libexec/pod beside bin/pod, which starts it")

// HandOver replaces quick, a program that does a few commands in pod's place, by pod
// with the same command line. pod goes on in the namespaces of this process as if it
// had joined them itself: with the user's umask (entry.Umask, which the caller noted)
// and the environment of now. HandOver returns only on failure.
func HandOver(entry Entry, args []string) error {
	if err := entry.broken(); err != nil {
		return err // pod would take the half for the whole
	}
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find pod: %w", err)
	}
	whole, ok := self.Whole(own)
	if !ok {
		return errNotInstalled
	}
	told := "-"
	if entry.Within {
		told = "w"
	}
	syscall.Umask(entry.Umask)
	err = syscall.Exec(whole, args, append(os.Environ(), envWhole+"="+told+entry.LostDir))
	return fmt.Errorf("execute %s: %w", whole, err)
}

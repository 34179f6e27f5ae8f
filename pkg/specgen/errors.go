package specgen

import (
	"errors"
	"fmt"
)

// ErrNoCommand is returned when neither the user nor the image names a command.
var ErrNoCommand = errors.New("no command or entrypoint provided, and no CMD or ENTRYPOINT from image")

// MissingControllerError says that the user asked for a limit whose cgroup
// controller pod may not use.
type MissingControllerError struct {
	// Controller is the cgroup controller: cpu, cpuset, memory, pids or io.
	Controller string
	// Flag is the option that needs it, with its dashes.
	Flag string
}

// Error names the limit, the controller and the remedy.
func (e *MissingControllerError) Error() string {
	return fmt.Sprintf("%s needs the cgroup controller %q, which is not delegated to you: "+
		"have an administrator write \"[Service]\" and \"Delegate=cpu cpuset io memory pids\" to "+
		"/etc/systemd/system/user@.service.d/delegate.conf and log in again, or leave %s out (pod doctor --check delegation explains)",
		e.Flag, e.Controller, e.Flag)
}

// UnsupportedError says that something is understood, but not done yet.
type UnsupportedError struct {
	// What the user asked for, as typed.
	What string
}

// Error is one line for the user.
func (e *UnsupportedError) Error() string { return e.What + " is not supported yet" }

func unsupported(format string, args ...any) error {
	return &UnsupportedError{What: fmt.Sprintf(format, args...)}
}

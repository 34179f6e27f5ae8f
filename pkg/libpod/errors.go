package libpod

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rootless-pod/pod/pkg/ociruntime"
)

// Errors that callers tell apart.
var (
	// ErrStateImproper: the container is in no state for what was asked.
	ErrStateImproper = errors.New("container state improper")
)

// CodedError is an error with an exit code of its own.
type CodedError struct {
	Code int
	Err  error
}

func (e *CodedError) Error() string { return e.Err.Error() }
func (e *CodedError) Unwrap() error { return e.Err }

// ExitCode is the code of the process that reports the error.
func (e *CodedError) ExitCode() int { return e.Code }

func coded(code int, format string, args ...any) error {
	return &CodedError{Code: code, Err: fmt.Errorf(format, args...)}
}

// commandError is a runtime's error about a command: it names the command, which
// runtimes do not always do, and says in the field's words what scripts look for.
func commandError(failed *ociruntime.Error, command []string) error {
	code := failed.ExitCode()
	var what string
	switch failed.Kind {
	case ociruntime.KindNotFound:
		what = "OCI runtime attempted to invoke a command that was not found"
	case ociruntime.KindNotExecutable:
		what = "OCI permission denied"
	default:
		return &CodedError{Code: code, Err: explainHandler(failed)}
	}
	if len(command) == 0 || strings.Contains(failed.Message, command[0]) {
		return coded(code, "%w: %s", failed, what)
	}
	return coded(code, "%s: %w: %s", command[0], failed, what)
}

// improper says that c cannot do what is asked because of its status.
func improper(verb string, id, name string, status Status, remedy string) error {
	return fmt.Errorf("%s container %s (%s): it is %s, %s: %w", verb, name, short(id), status, remedy, ErrStateImproper)
}

// short is the form of an id that people read.
func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

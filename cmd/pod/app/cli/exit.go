package cli

import (
	"errors"
	"fmt"
)

// Exit codes of the field (see ../shared/reference/exitcodes.md).
const (
	CodeNoImage       = 1   // of rmi: it is not there
	CodeImageInUse    = 2   // of rmi: something needs it
	CodeFailure       = 125 // pod itself failed
	CodeNotExecutable = 126
	CodeNotFound      = 127
)

// Exit is an error with an exit code of its own. With a nil Err nothing is
// printed: the command has said all, or the code is the container's.
type Exit struct {
	Code int
	Err  error
}

func (e *Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *Exit) Unwrap() error { return e.Err }

// Exists is an answer as an exit code: 0 for yes, 1 for no.
func Exists(found bool, err error) error {
	if err == nil && !found {
		return &Exit{Code: 1}
	}
	return err
}

// Coder is an error that knows its exit code, as those of libpod do.
type Coder interface{ ExitCode() int }

// Code returns the exit code for the error of a command.
func Code(err error) int {
	var exit *Exit
	var coder Coder
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &coder):
		return coder.ExitCode()
	default:
		return CodeFailure
	}
}

// Silent says whether err prints no line.
func Silent(err error) bool {
	var exit *Exit
	return errors.As(err, &exit) && exit.Err == nil
}

// Many joins the errors of a command that works on several objects: each is
// printed on a line of its own, and the first decides the code.
type Many []error

func (m Many) Error() string {
	switch len(m) {
	case 0:
		return "no error"
	default:
		return m[0].Error()
	}
}

func (m Many) Unwrap() []error { return m }

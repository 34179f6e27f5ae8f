package rootless

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// ExecError is a command that could not be executed, with the exit code the
// field gives it: 127 when there is no such command, 126 when it cannot be run.
type ExecError struct {
	Name string
	Code int
	Err  error
}

func (e *ExecError) Error() string { return fmt.Sprintf("execute %s: %v", e.Name, e.Err) }

func (e *ExecError) Unwrap() error { return e.Err }

// Exec replaces the process by a command in the namespaces the process is in
// (pod unshare); without one, by the user's shell. It returns only on failure,
// always an *ExecError.
func Exec(argv, env []string) error {
	path, argv, err := Command(argv)
	if err != nil {
		return err
	}
	return execError(argv[0], syscall.Exec(path, argv, env))
}

// Command finds the program of a command, or the user's shell if there is none,
// and returns the command with its path. The error is an *ExecError.
func Command(argv []string) (string, []string, error) {
	if len(argv) == 0 {
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		argv = []string{shell}
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return "", nil, execError(argv[0], err)
	}
	return path, argv, nil
}

func execError(name string, err error) error {
	code := 126
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		code = 127
	}
	var named *exec.Error // these repeat the name, which we say
	if errors.As(err, &named) {
		err = named.Err
	}
	var inFile *fs.PathError
	if errors.As(err, &inFile) {
		err = inFile.Err
	}
	return &ExecError{Name: name, Code: code, Err: err}
}

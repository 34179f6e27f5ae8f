package ociruntime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// Start lets the first process of a created container run its command.
func (r *Runtime) Start(ctx context.Context, id string) error {
	_, err := r.run(ctx, "start", id)
	return err
}

// Kill sends a signal to the container's first process, or with all to every
// process in it, which a container without a pid namespace needs. A container
// that has ended gives an error of KindNotRunning.
func (r *Runtime) Kill(ctx context.Context, id string, sig syscall.Signal, all bool) error {
	args := []string{id, strconv.Itoa(int(sig))}
	if all {
		args = append([]string{"--all"}, args...)
	}
	_, err := r.run(ctx, "kill", args...)
	return err
}

// Delete removes what the runtime holds of a container: its cgroup and state.
// With force it kills the container first, and one the runtime does not know is
// no error.
func (r *Runtime) Delete(ctx context.Context, id string, force bool) error {
	args := []string{id}
	if force {
		args = []string{"--force", id}
	}
	_, err := r.run(ctx, "delete", args...)
	if force && KindOf(err) == KindNoContainer {
		return nil
	}
	return err
}

// State asks the runtime what it knows of a container. Its Status is creating,
// created, running, paused or stopped.
func (r *Runtime) State(ctx context.Context, id string) (rspec.State, error) {
	out, err := r.run(ctx, "state", id)
	if err != nil {
		return rspec.State{}, err
	}
	var state rspec.State
	if err := json.Unmarshal(out, &state); err != nil {
		return rspec.State{}, fmt.Errorf("state of container %s from %s: %w", id, r.Name, err)
	}
	return state, nil
}

// Pause freezes all processes of a container; it needs a cgroup.
func (r *Runtime) Pause(ctx context.Context, id string) error {
	_, err := r.run(ctx, "pause", id)
	return err
}

// Resume undoes Pause.
func (r *Runtime) Resume(ctx context.Context, id string) error {
	_, err := r.run(ctx, "resume", id)
	return err
}

// Update changes the limits of a container; they are handed over in file, which
// is the caller's.
func (r *Runtime) Update(ctx context.Context, id, file string, limits *rspec.LinuxResources) error {
	data, err := json.Marshal(limits)
	if err != nil {
		return fmt.Errorf("encode limits: %w", err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write limits: %w", err)
	}
	_, err = r.run(ctx, "update", "--resources", file, id)
	return errors.Join(err, os.Remove(file))
}

// Version is what the runtime says of itself, one line.
func (r *Runtime) Version(ctx context.Context) (string, error) {
	out, err := r.execute(ctx, "", []string{r.Path, "--version"})
	return firstLine(out), err
}

// ConmonVersion is what conmon says of itself, one line.
func (r *Runtime) ConmonVersion(ctx context.Context) (string, error) {
	out, err := r.execute(ctx, "", []string{r.Conmon, "--version"})
	return firstLine(out), err
}

// firstLine returns the text before the first newline.
func firstLine(out []byte) string {
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return string(line)
}

// execute runs argv to its end; its standard error becomes the error. The last
// argument is the container, unless the verb is empty. A canceled context does
// not cut a verb short half way: it kills the runtime, whose work the next
// Delete finishes.
func (r *Runtime) execute(ctx context.Context, verb string, argv []string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = r.env()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err == nil {
		return stdout.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s %s: %w", argv[0], verb, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		var perr *os.PathError
		if errors.As(err, &perr) {
			err = perr.Err
		}
		return nil, fmt.Errorf("run %s: %w", argv[0], err)
	}
	text := stderr.String()
	id := containerArg(verb, argv)
	if text == "" {
		text = fmt.Sprintf("%s of container %.12s: %s", verb, id, exit)
	}
	return nil, newError(r.Name, verb, id, text)
}

// containerArg finds the container's id in a command line of this package.
func containerArg(verb string, argv []string) string {
	switch verb {
	case "":
		return ""
	case "kill":
		return argv[len(argv)-2]
	}
	return argv[len(argv)-1]
}

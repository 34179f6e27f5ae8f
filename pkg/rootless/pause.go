package rootless

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/flock"
	"github.com/rootless-pod/pod/internal/scope"
)

// pauseTimeout bounds how long a new pause process may take for one step; it is
// milliseconds of work, so only a broken machine comes near.
const pauseTimeout = 20 * time.Second

// ensurePause sees to it that a pause process of the wanted kind runs. Of
// commands that come at once one makes it, the others wait for the lock.
func ensurePause(ctx context.Context, base string, want kind, entry Entry, log *slog.Logger) error {
	if err := makePodDir(base); err != nil {
		return err
	}
	unlock, err := flock.Wait(ctx, lockPath(base))
	if err != nil {
		return err
	}
	defer unlock()
	if id, err := readIdentity(base); err == nil && id.verify(want) == nil {
		return nil
	}
	id, talk, err := makePause(ctx, want, entry)
	if err != nil {
		return err
	}
	defer talk.close()
	for _, line := range id.Reduced {
		log.Warn(line)
	}
	if err := id.write(base); err != nil {
		return err
	}
	if err := talk.say("keep"); err != nil { // it is known now; before, it ended with us
		return fmt.Errorf("start pause process: %w", err)
	}
	placePause(ctx, base, id, entry, log)
	return nil
}

// placePause puts the new pause process into a scope of the user's systemd, if
// there is one: it must end neither with the session nor with the unit that
// happened to need it first.
func placePause(ctx context.Context, base string, id *identity, entry Entry, log *slog.Logger) {
	manager, ok := scope.Find(entry.HostUID, base)
	if !ok {
		return
	}
	pid := id.Process.PID
	unit := scope.Unit{
		Name: fmt.Sprintf("pod-pause-%d-%d.scope", pid, id.Process.Start), Description: "namespaces of pod",
		PID: pid, Delegate: true,
	}
	if entry.HostUID != 0 {
		unit.Slice = "user.slice"
	}
	if err := manager.Start(ctx, unit); err != nil {
		log.Warn("containers may end with this session: " + err.Error())
	}
}

// makePause starts a pause process by the first plan that works.
func makePause(ctx context.Context, want kind, entry Entry) (*identity, *conversation, error) {
	var source string
	if unified, hybrid := HybridCgroup(); hybrid {
		source = unified
	}
	start := makeUserPause
	if want == kindMount {
		start = makeMountPause
	}
	id, talk, err := start(ctx, source, entry)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case id.Hybrid:
		id.Reduced = append(id.Reduced, "cgroups are in hybrid mode here: resource limits and pause do not work, statistics read zero; to have them, boot with systemd.unified_cgroup_hierarchy=1")
	case source != "":
		id.Reduced = append(id.Reduced, "cgroups are in hybrid mode here and version 2 could not be put in their place, so crun will refuse to work; use runc (--runtime runc)")
	}
	return id, talk, nil
}

// makeMountPause makes a pause process without a user namespace.
func makeMountPause(ctx context.Context, source string, _ Entry) (*identity, *conversation, error) {
	return startPause(ctx, kindMount, source, nil)
}

// makeUserPause tries the plans in their order. A namespace whose uids were
// mapped cannot be mapped again, so each plan gets a new one.
func makeUserPause(ctx context.Context, source string, entry Entry) (*identity, *conversation, error) {
	var failed error
	for _, p := range plans(ctx, entry) {
		id, talk, err := startPause(ctx, kindUser, source, &p)
		var mapping mapError
		switch {
		case err == nil && p.single && failed != nil:
			id.Reduced = append(id.Reduced, singleReason(entry.HostUID, failed.Error(), checkNewuidmap))
			return id, talk, nil
		case err == nil && p.single:
			id.Reduced = append(id.Reduced, p.reduced)
			return id, talk, nil
		case err == nil:
			return id, talk, nil
		case errors.As(err, &mapping) && ctx.Err() == nil:
			failed = mapping.error
		default:
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("create user namespace: %w", failed)
}

// mapError is a failure to fill the id maps, after which another plan may work.
type mapError struct{ error }

func (e mapError) Unwrap() error { return e.error }

// startPause starts a pause process and returns who it is. It runs this program,
// which nsenter's constructor stops before Go; see pause.c for its side. It ends
// when the conversation is closed before it was told to be kept.
func startPause(ctx context.Context, want kind, source string, p *plan) (_ *identity, _ *conversation, err error) {
	talk, err := spawn(ctx, want, source)
	if err != nil {
		return nil, nil, fmt.Errorf("start pause process: %w", err)
	}
	defer func() {
		if err != nil {
			talk.close()
		}
	}()
	said, err := talk.expect("unshared")
	if err != nil {
		return nil, nil, explain(err)
	}
	pid, err := strconv.Atoi(said)
	if err != nil {
		return nil, nil, fmt.Errorf("start pause process: it says pid %q", said)
	}
	if p != nil {
		if err := p.apply(ctx, pid); err != nil {
			return nil, nil, mapError{err}
		}
	}
	if err := talk.say("mapped"); err != nil {
		return nil, nil, fmt.Errorf("start pause process: %w", err)
	}
	if said, err = talk.expect("ready"); err != nil {
		return nil, nil, explain(err)
	}
	id := &identity{Kind: want, Hybrid: said == "bound"}
	if err := id.observe(pid); err != nil {
		return nil, nil, fmt.Errorf("start pause process: %w", err)
	}
	return id, talk, nil
}

// conversation is our end of the socket to a pause process being made.
type conversation struct {
	file *os.File
	in   *bufio.Reader
	cmd  *exec.Cmd
}

func spawn(ctx context.Context, want kind, source string) (*conversation, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirs := os.NewFile(uintptr(fds[1]), "pause")
	defer theirs.Close()
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		return nil, err
	}
	ours := os.NewFile(uintptr(fds[0]), "pause")
	deadline := time.Now().Add(pauseTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := ours.SetDeadline(deadline); err != nil {
		ours.Close()
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe") // the first of the two processes, gone at once
	cmd.Args = []string{"pod", "__pause", string(want), source}
	cmd.Dir = "/"
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{theirs} // its descriptor 3
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	return &conversation{file: ours, in: bufio.NewReader(ours), cmd: cmd}, nil
}

func (c *conversation) say(word string) error {
	_, err := c.file.WriteString(word + "\n")
	return err
}

// expect reads one line, which must begin with word, and returns the rest.
func (c *conversation) expect(word string) (string, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("pause process ended before it was %s: %w", word, err)
	}
	first, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	switch first {
	case word:
		return rest, nil
	case "error":
		step, num, _ := strings.Cut(rest, " ")
		errno, _ := strconv.Atoi(num)
		return "", pauseError{step, syscall.Errno(errno)}
	}
	return "", fmt.Errorf("pause process says %q", line)
}

// close hangs up and reaps the first of the two processes, which has ended after
// its fork: the pause process itself is nobody's child here.
func (c *conversation) close() {
	c.file.Close()
	_ = c.cmd.Wait()
}

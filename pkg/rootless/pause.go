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

	"github.com/rootless-pod/pod/internal/process"
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
	unlock, err := lock(ctx, lockPath(base))
	if err != nil {
		return err
	}
	defer unlock()
	if id, err := readIdentity(base); err == nil && id.verify(want) == nil {
		return nil
	}
	id, err := makePause(ctx, want, entry)
	if err != nil {
		return err
	}
	for _, line := range id.Reduced {
		log.Warn(line)
	}
	if err := id.write(base); err != nil {
		return errors.Join(err, id.Process.Signal(syscall.SIGKILL))
	}
	return nil
}

// lock takes the lock that orders makers and removers of the pause process.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	done := make(chan error, 1)
	go func() { done <- flock(fd) }() // a thread waits in the kernel; the context must still win
	select {
	case err := <-done:
		if err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return func() { unix.Close(fd) }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("lock %s: %w", path, ctx.Err())
	}
}

func flock(fd int) error {
	for {
		if err := unix.Flock(fd, unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// makePause starts a pause process by the first plan that works.
func makePause(ctx context.Context, want kind, entry Entry) (*identity, error) {
	var source string
	unified, hybrid := HybridCgroup()
	if hybrid {
		source = unified
	}
	var id *identity
	var err error
	if want == kindMount {
		id, err = startPause(ctx, want, source, nil)
	} else {
		id, err = makeUserPause(ctx, source, entry)
	}
	if err != nil {
		return nil, err
	}
	if id.Hybrid = hybrid; hybrid {
		id.Reduced = append(id.Reduced, "this machine has cgroups in hybrid mode: resource limits and pause do not work, statistics are zero; to get them boot with systemd.unified_cgroup_hierarchy=1")
	}
	return id, nil
}

// makeUserPause tries the plans in their order. A namespace whose uids were
// mapped cannot be mapped again, so each plan gets a new one.
func makeUserPause(ctx context.Context, source string, entry Entry) (*identity, error) {
	var reduced string
	var failed error
	for _, p := range plans(ctx, entry) {
		id, err := startPause(ctx, kindUser, source, &p)
		var mapping mapError
		switch {
		case err == nil:
			if p.single && reduced == "" {
				reduced = p.reduced
			}
			if p.single && reduced != "" {
				id.Reduced = append(id.Reduced, reduced)
			}
			return id, nil
		case errors.As(err, &mapping) && ctx.Err() == nil:
			failed = err
			reduced = singleReason(entry.HostUID, strings.ReplaceAll(mapping.Error(), "\n", ", "))
		default:
			return nil, err
		}
	}
	return nil, fmt.Errorf("create user namespace: %w", failed)
}

// mapError is a failure to fill the id maps, after which another plan may work.
type mapError struct{ error }

func (e mapError) Unwrap() error { return e.error }

// startPause starts a pause process and returns who it is. It runs this program,
// which nsenter's constructor stops before Go; see pause.c for its side.
func startPause(ctx context.Context, want kind, source string, p *plan) (_ *identity, err error) {
	talk, err := spawn(ctx, want, source)
	if err != nil {
		return nil, fmt.Errorf("start pause process: %w", err)
	}
	defer talk.close() // a pause process that is not ready ends when we hang up
	words, err := talk.expect("unshared")
	if err != nil {
		return nil, explain(err)
	}
	pid, err := strconv.Atoi(words)
	if err != nil {
		return nil, fmt.Errorf("start pause process: it says pid %q", words)
	}
	if p != nil {
		if err := p.apply(ctx, pid); err != nil {
			return nil, mapError{err}
		}
	}
	if err := talk.say("mapped"); err != nil {
		return nil, fmt.Errorf("start pause process: %w", err)
	}
	if _, err := talk.expect("ready"); err != nil {
		return nil, explain(err)
	}
	id := &identity{Kind: want}
	if id.Process, err = process.Of(pid); err != nil {
		return nil, fmt.Errorf("start pause process: %w", err)
	}
	if id.Boot, err = process.BootID(); err != nil {
		return nil, err
	}
	if id.User, id.Mount, err = namespaces("/proc/" + strconv.Itoa(pid)); err != nil {
		return nil, errors.Join(fmt.Errorf("start pause process: %w", err), id.Process.Signal(syscall.SIGKILL))
	}
	return id, nil
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
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
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

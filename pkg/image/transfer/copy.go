package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options are those of Copy.
type Options struct {
	// Self is the argument vector of pod with its global flags.
	Self []string
	// Format is docker-archive ("") or oci-archive.
	Format string
	// Root says that other users' programs can be started without asking.
	Root bool
	// Quiet keeps the programs from telling of progress; else it goes to Progress.
	Quiet    bool
	Progress io.Writer
}

// Copy saves the image of from and loads it in to. It returns what the loading
// program printed, which is another host's word.
func Copy(ctx context.Context, from, to Place, o Options) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.Quiet || o.Progress == nil {
		o.Progress = io.Discard
	}
	o.Progress = &inTurn{to: o.Progress}
	format := o.Format
	if format == "" {
		format = "docker-archive"
	}
	save := []string{"image", "save", "--format", format}
	load := []string{"image", "load"}
	if o.Quiet {
		save, load = append(save, "--quiet"), append(load, "--quiet")
	}
	source, sourceTells := o.command(ctx, from, append(save, "--", from.Image))
	target, targetTells := o.command(ctx, to, load)
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	var printed bytes.Buffer
	source.Stdout, target.Stdin, target.Stdout = write, read, &printed
	err = start(source, target)
	err = errors.Join(err, write.Close(), read.Close())
	if err != nil {
		cancel()
		reap(source, target)
		return nil, err
	}
	saved := make(chan error, 1)
	go func() { saved <- wait(source) }()
	loadErr := wait(target)
	if loadErr != nil {
		// Who saves finds out when it writes. It may also be the one that failed, and
		// have ended its output a moment before it says why.
		defer time.AfterFunc(lingering, cancel).Stop()
	}
	saveErr := <-saved
	var failed error
	switch {
	case saveErr != nil && (loadErr == nil || targetTells.starved() || ctx.Err() == nil && sourceTells.complained()):
		failed = fmt.Errorf("save %s from %s: %s", from.Image, &from, sourceTells.reason(saveErr))
	case loadErr != nil:
		failed = fmt.Errorf("load %s into %s: %s", from.Image, &to, targetTells.reason(loadErr))
	}
	var lines []string
	for line := range strings.Lines(printed.String()) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines, failed
}

func start(commands ...*exec.Cmd) error {
	for _, c := range commands {
		if err := c.Start(); err != nil {
			if errors.Is(err, exec.ErrNotFound) {
				return fmt.Errorf("%s is not installed", c.Args[0])
			}
			return fmt.Errorf("start %s: %w", c.Args[0], err)
		}
	}
	return nil
}

// lingering is how long a program may leave its streams to others: ssh's master
// process (ControlPersist) keeps them open.
const lingering = 2 * time.Second

func wait(c *exec.Cmd) error {
	if err := c.Wait(); !errors.Is(err, exec.ErrWaitDelay) {
		return err
	}
	return nil
}

// reap waits for those commands that were started.
func reap(commands ...*exec.Cmd) {
	for _, c := range commands {
		if c.Process != nil {
			_ = c.Wait() // it was killed
		}
	}
}

// command is what runs pod, or podman, at a place.
func (o *Options) command(ctx context.Context, p Place, args []string) (*exec.Cmd, *teller) {
	argv := append(append([]string{}, o.Self...), args...)
	switch {
	case p.SSH != nil:
		argv = append(p.SSH.argv(), "sh -c "+quote(either(args)))
	case p.User != "" && o.Root:
		argv = []string{"runuser", "-l", p.User, "-c", "sh -c " + quote(either(args))}
	case p.User != "":
		argv = []string{"sudo", "-i", "-u", p.User, "--", "sh", "-c", either(args)}
	}
	tells := &teller{to: o.Progress}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the user's own words, quoted
	cmd.Stderr = tells
	cmd.WaitDelay = lingering
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd, tells
}

func (s *SSH) argv() []string {
	argv := []string{"ssh", "-T"}
	if s.Port != "" {
		argv = append(argv, "-p", s.Port)
	}
	if s.Identity != "" {
		argv = append(argv, "-i", s.Identity)
	}
	if s.User != "" {
		argv = append(argv, "-l", s.User)
	}
	return append(argv, "--", s.Host)
}

// either is a script that runs the command with pod, or with podman where there is
// no pod.
func either(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = quote(a)
	}
	line := strings.Join(words, " ")
	return "if command -v pod >/dev/null 2>&1; then exec pod " + line + "; else exec podman " + line + "; fi"
}

// quote makes one word of s for a shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// inTurn takes the words of two programs.
type inTurn struct {
	mu sync.Mutex
	to io.Writer
}

func (w *inTurn) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// teller passes on what a program says, line by line, but keeps its errors: the
// caller makes one of them.
type teller struct {
	to io.Writer

	mu     sync.Mutex
	rest   []byte
	errors []string
	last   string
}

// maxLine bounds a line of another host.
const maxLine = 4 << 10

func (t *teller) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rest = append(t.rest, p...)
	for {
		at := bytes.IndexByte(t.rest, '\n')
		if at < 0 && len(t.rest) < maxLine {
			return len(p), nil
		}
		if at < 0 {
			at = maxLine - 1
		}
		t.line(string(t.rest[:at]))
		t.rest = t.rest[at+1:]
	}
}

func (t *teller) line(line string) {
	line = printable(line)
	if line != "" {
		t.last = line
	}
	if text, ok := strings.CutPrefix(line, "Error: "); ok {
		t.errors = append(t.errors, text)
		return
	}
	_, _ = fmt.Fprintln(t.to, line)
}

// complained says whether a program that saves has told an error of its own: another
// one than that nobody reads its output any more, of which ssh says nothing.
func (t *teller) complained() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.errors) > 0 && !strings.Contains(strings.ToLower(t.errors[0]), "broken pipe")
}

// starved says whether a program that loads has failed because it got nothing, in the
// words of pod and of podman.
func (t *teller) starved() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.errors) > 0 && (strings.Contains(t.errors[0], "no image archive") || strings.Contains(t.errors[0], "payload does not match"))
}

// reason is why a program failed: the first error it told of, or its last line.
func (t *teller) reason(err error) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rest) > 0 {
		t.line(string(t.rest))
		t.rest = nil
	}
	switch {
	case len(t.errors) > 0:
		return t.errors[0]
	case t.last != "":
		return t.last
	}
	return err.Error()
}

// printable keeps control characters of other hosts from the terminal.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(line, "?"))
}

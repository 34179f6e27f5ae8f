package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rootless-pod/pod/internal/shellword"
)

// errNoCron says what to do where nothing can start containers.
var errNoCron = errors.New("nothing here starts programs at boot: there is neither systemd nor crontab; install cron, or have the machine's own start-up run `pod boot run` as this user")

// cronMark ends our line, as a comment of the shell that runs it.
func (h *Host) cronMark() string { return "# " + h.name() }

// cronLine is our line; % would end the command (crontab(5)).
func (h *Host) cronLine() string {
	words := []string{"@reboot"}
	for _, entry := range append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, h.environ()...) {
		name, value, _ := strings.Cut(entry, "=")
		words = append(words, name+"="+shellword.Quote(value))
	}
	for _, arg := range h.argv() {
		words = append(words, shellword.Quote(arg))
	}
	return strings.ReplaceAll(strings.Join(append(words, h.cronMark()), " "), "%", `\%`)
}

// crontab returns the lines of the user's crontab; none if he has none.
func crontab(ctx context.Context) ([]string, error) {
	path, err := exec.LookPath("crontab")
	if err != nil {
		return nil, errNoCron
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-l")
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		if strings.Contains(said, "no crontab for") || strings.Contains(said, "can't open") {
			return nil, nil // vixie's and busybox's words for an empty one
		}
		return nil, fmt.Errorf("read the crontab: %w: %s", err, said)
	}
	text := strings.TrimSuffix(string(out), "\n")
	if text == "" {
		return nil, nil
	}
	return strings.Split(text, "\n"), nil
}

func writeCrontab(ctx context.Context, lines []string) error {
	cmd := exec.CommandContext(ctx, "crontab", "-")
	if len(lines) == 0 {
		cmd = exec.CommandContext(ctx, "crontab", "-r")
	} else {
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("write the crontab: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

func (h *Host) ours(line string) bool {
	return strings.HasPrefix(line, "@reboot ") && strings.HasSuffix(line, " "+h.cronMark())
}

func (h *Host) enableCron(ctx context.Context) error {
	lines, err := crontab(ctx)
	if err != nil {
		return err
	}
	lines = append(slices.DeleteFunc(lines, h.ours), h.cronLine())
	if err := writeCrontab(ctx, lines); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(h.marker()), 0o700); err != nil {
		return fmt.Errorf("note the crontab's line: %w", err)
	}
	if err := os.WriteFile(h.marker(), nil, 0o600); err != nil {
		return fmt.Errorf("note the crontab's line: %w", err)
	}
	return nil
}

func (h *Host) disableCron(ctx context.Context) error {
	lines, err := crontab(ctx)
	if errors.Is(err, errNoCron) {
		return removeFile(h.marker())
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(lines, h.ours) {
		if err := writeCrontab(ctx, slices.DeleteFunc(lines, h.ours)); err != nil {
			return err
		}
	}
	return removeFile(h.marker())
}

func (h *Host) cronStatus(ctx context.Context) (Status, error) {
	s := Status{Mechanism: Cron}
	lines, err := crontab(ctx)
	if errors.Is(err, errNoCron) {
		s.Mechanism = ""
		s.Problems = []string{err.Error()}
		return s, nil
	}
	if err != nil {
		return s, err
	}
	i := slices.IndexFunc(lines, h.ours)
	if i < 0 {
		s.Problems = []string{"nothing is installed: `pod boot enable`"}
		return s, nil
	}
	s.Installed, s.Where = true, lines[i]
	if lines[i] != h.cronLine() {
		s.Problems = append(s.Problems, "the line is not what pod would write now (program, options or environment differ): `pod boot enable` renews it")
	}
	if problem := h.checkProgram(); problem != "" {
		s.Problems = append(s.Problems, problem)
	}
	if !cronRuns() {
		s.Problems = append(s.Problems, "no cron daemon runs: start it, and have it start with the machine (on Debian: `update-rc.d cron enable`)")
	}
	s.Works = len(s.Problems) == 0
	return s, nil
}

// cronRuns looks for a process with the name of a cron daemon.
func cronRuns() bool {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return false
	}
	for _, name := range names {
		comm, err := os.ReadFile(name)
		if err == nil && slices.Contains([]string{"cron", "crond", "cronie", "dcron", "fcron", "anacron"}, strings.TrimSpace(string(comm))) {
			return true
		}
	}
	return false
}

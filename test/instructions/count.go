package main

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// perCommand bounds one count, which takes some seconds.
const perCommand = 2 * time.Minute

const image = "localhost/instructions"

// command is one that is counted.
type command struct {
	name string
	args []string
	// beside says that a container called target runs meanwhile.
	beside bool
}

func commands() []command {
	return []command{
		{name: "version", args: []string{"version"}},
		{name: "run", args: []string{"run", "--rm", "--network", "none", image, "true"}},
		{name: "exec", args: []string{"exec", "target", "true"}, beside: true},
		{name: "ps", args: []string{"ps"}, beside: true},
	}
}

// counter counts with a store of its own, so that what else is on the machine does
// not matter.
type counter struct {
	with toolchain
	// pod prepares, counted is counted.
	pod, counted string
	dir          string
	global       []string
	target       bool
}

func newCounter(ctx context.Context, pod, counted string) (*counter, error) {
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		return nil, errors.New("XDG_RUNTIME_DIR is not set: count in a login session")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	c := &counter{dir: filepath.Join(home, "pod-instructions")}
	if c.pod, err = exec.LookPath(pod); err != nil {
		return nil, err
	}
	if c.counted, err = exec.LookPath(counted); err != nil {
		return nil, err
	}
	if c.with, err = toolchainOf(ctx, c.counted); err != nil {
		return nil, err
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return nil, err
	}
	c.global = []string{"--root", filepath.Join(c.dir, "root"), "--runroot", filepath.Join(run, "pod-instructions")}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.close(ctx))
	}
	return c, nil
}

// prepare makes the image, and the caches that a first run fills.
func (c *counter) prepare(ctx context.Context) error {
	archive, err := busybox()
	if err != nil {
		return err
	}
	load := c.command(ctx, "import", "-q", "-", image)
	load.Stdin = archive
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("pod import: %w: %s", err, out)
	}
	for range 2 {
		if err := c.call(ctx, "run", "--rm", "--network", "none", image, "true"); err != nil {
			return err
		}
	}
	return nil
}

func (c *counter) close(ctx context.Context) error {
	err := c.call(ctx, "rm", "-a", "-f", "-t", "0")
	out, gone := c.command(ctx, "unshare", "sh", "-c", `umount -l "$1/root/overlay" 2>/dev/null; rm -rf "$1" "$2"`, "sh", c.dir, c.global[3]).CombinedOutput()
	if gone != nil {
		gone = fmt.Errorf("remove the store: %w: %s", gone, out)
	}
	return errors.Join(err, gone)
}

func (c *counter) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, c.pod, append(append([]string(nil), c.global...), args...)...)
}

func (c *counter) call(ctx context.Context, args ...string) error {
	if out, err := c.command(ctx, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("pod %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// count runs a command below cachegrind. Other processes are not looked at: they are
// not pod's, or start from the same binary and are counted in commands of their own.
func (c *counter) count(ctx context.Context, what command) (*profile, error) {
	if what.beside && !c.target {
		if err := c.call(ctx, "run", "-d", "--name", "target", "--network", "none", image, "sleep", "100000"); err != nil {
			return nil, err
		}
		c.target = true
	}
	ctx, cancel := context.WithTimeout(ctx, perCommand)
	defer cancel()
	file := filepath.Join(c.dir, "profile")
	args := []string{"--quiet", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=" + file, c.counted}
	cmd := exec.CommandContext(ctx, "valgrind", append(append(args, c.global...), what.args...)...)
	// One processor, no collector and no preemption by signals: what else the machine
	// does must not decide how often the scheduler runs.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("count pod %s: %w: %s", strings.Join(what.args, " "), err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parse(string(data))
}

// toolchain is what a count depends on beside the sources.
type toolchain struct {
	Arch     string `json:"arch"`
	Go       string `json:"go"`
	Libc     string `json:"libc"`
	Valgrind string `json:"valgrind"`
}

func (t toolchain) String() string { return t.Go + ", " + t.Libc + ", " + t.Valgrind }

func toolchainOf(ctx context.Context, pod string) (toolchain, error) {
	t := toolchain{Arch: runtime.GOARCH}
	if _, err := exec.LookPath("valgrind"); err != nil {
		return t, errors.New("valgrind is missing: the test host has it since November 2026; make it anew with test/host/testhost down and up")
	}
	info, err := buildinfo.ReadFile(pod)
	if err != nil {
		return t, err
	}
	t.Go = info.GoVersion
	for _, ask := range []struct {
		into *string
		args []string
	}{{&t.Libc, []string{"getconf", "GNU_LIBC_VERSION"}}, {&t.Valgrind, []string{"valgrind", "--version"}}} {
		out, err := exec.CommandContext(ctx, ask.args[0], ask.args[1:]...).Output()
		if err != nil {
			return t, fmt.Errorf("%s: %w", strings.Join(ask.args, " "), err)
		}
		*ask.into = strings.TrimSpace(string(out))
	}
	return t, nil
}

// busybox is an archive of the host's static busybox, which is all that is in the image.
func busybox() (*bytes.Buffer, error) {
	binary, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, fmt.Errorf("install busybox-static: %w", err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	write := func(h *tar.Header) { err = errors.Join(err, w.WriteHeader(h)) }
	write(&tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755})
	write(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(binary))})
	_, failed := w.Write(binary)
	for _, name := range []string{"true", "sleep"} {
		write(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox"})
	}
	return &out, errors.Join(err, failed, w.Close())
}

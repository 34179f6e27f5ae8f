package isolation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-tools/generate"

	"github.com/rootless-pod/pod/pkg/image/hello"
)

// probeTimeout ends a runtime that hangs; a build is not to wait for it for ever.
const probeTimeout = 20 * time.Second

// program is the path, in the probe's root, of the one that needs nothing.
const program = "/hello"

// makeRoot makes a directory with a root file system that has nothing but the
// program and places to mount on.
func makeRoot(scratch string) (dir string, err error) {
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return "", fmt.Errorf("try the isolation: %w", err)
	}
	if dir, err = os.MkdirTemp(scratch, "probe-"); err != nil {
		return "", fmt.Errorf("try the isolation: %w", err)
	}
	for _, sub := range []string{"dev", "proc", "sys", "run", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(dir, "rootfs", sub), 0o755); err != nil { //nolint:gosec // other ids of the namespace enter it
			return dir, fmt.Errorf("try the isolation: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "rootfs", program), hello.Program(), 0o755); err != nil { //nolint:gosec // to be executed
		return dir, fmt.Errorf("try the isolation: %w", err)
	}
	return dir, nil
}

// trial is what a step is tried with.
type trial struct {
	// version is the one that the specification claims.
	version string
	// hostname: the step has a host name of its own.
	hostname bool
}

// tryRuntime runs the program as a step is run. It returns what the runtime said
// when that did not work.
func tryRuntime(ctx context.Context, host Host, with trial) (refusal string, err error) {
	dir, err := makeRoot(host.Scratch)
	if dir != "" {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if err != nil {
		return "", err
	}
	spec, err := stepSpec(filepath.Join(dir, "rootfs"), with)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("try the isolation: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600); err != nil {
		return "", fmt.Errorf("try the isolation: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	id := "pod-" + filepath.Base(dir)
	args := append(append([]string(nil), host.RuntimeArgs...), "run", "--no-new-keyring", "--bundle", dir, id)
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, host.Runtime, args...)
	cmd.Dir, cmd.Stderr = dir, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err == nil {
		return "", nil
	} else if refusal = oneLine(said.String()); refusal == "" {
		refusal = err.Error()
	}
	// One that failed half way may have left its record.
	clean := exec.CommandContext(context.WithoutCancel(ctx), host.Runtime, append(append([]string(nil), host.RuntimeArgs...), "delete", "--force", id)...)
	_ = clean.Run() // mostly there is nothing to delete
	return refusal, nil
}

// stepSpec is what buildah gives the runtime for a step, but for what is of the
// image and the network, which the runtime does not make.
func stepSpec(root string, with trial) (*rspec.Spec, error) {
	g, err := generate.New("linux")
	if err != nil {
		return nil, fmt.Errorf("try the isolation: %w", err)
	}
	spec := g.Config
	spec.Version = with.version
	spec.Root.Path = root
	spec.Process.Args, spec.Process.Cwd, spec.Process.Terminal = []string{program}, "/", false
	spec.Process.Rlimits = nil
	spec.Hostname = ""
	var kept []rspec.LinuxNamespace
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type != rspec.UserNamespace && (with.hostname || ns.Type != rspec.UTSNamespace) {
			kept = append(kept, ns)
		}
	}
	spec.Linux.Namespaces = append(kept, rspec.LinuxNamespace{Type: rspec.CgroupNamespace})
	if with.hostname {
		spec.Hostname = "probe"
	}
	for i, m := range spec.Mounts {
		if m.Destination == "/dev/pts" { // the group of terminals may not be mapped
			spec.Mounts[i].Options = []string{"rprivate", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
		}
	}
	spec.Mounts = append(spec.Mounts, rspec.Mount{
		Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"rprivate", "nosuid", "noexec", "nodev", "relatime", "rw"},
	})
	return spec, nil
}

// tryChroot starts the program in a root of its own, in mount and UTS namespaces
// whose mounts are private, as buildah's chroot does.
func tryChroot(ctx context.Context, host Host) (refusal string, err error) {
	dir, err := makeRoot(host.Scratch)
	if dir != "" {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS, Chroot: filepath.Join(dir, "rootfs"), Pdeathsig: syscall.SIGKILL,
	}
	if err := cmd.Run(); err != nil {
		if errors.Is(err, syscall.EPERM) {
			err = syscall.EPERM
		}
		return err.Error(), nil //nolint:nilerr // that is the answer
	}
	return "", nil
}

// oneLine is the last thing a program said, without time and level.
func oneLine(said string) string {
	lines := strings.FieldsFunc(strings.TrimSpace(said), func(r rune) bool { return r == '\n' })
	if len(lines) == 0 {
		return ""
	}
	line := strings.TrimSpace(lines[len(lines)-1])
	// runc: time="…" level=error msg="…"
	if _, message, found := strings.Cut(line, `msg="`); found {
		line = strings.TrimSuffix(message, `"`)
	}
	return line
}

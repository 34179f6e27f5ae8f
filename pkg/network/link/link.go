// Package link holds what the network drivers that are separate programs have in
// common: how such a program is started so that it outlives pod and inherits
// nothing of it, what it reports, and the faults all of them share.
package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
)

// Errors the callers of drivers tell apart.
var (
	// ErrNoRoute: the program wants a host interface with a route.
	ErrNoRoute = errors.New("the host has no network interface with a route")
	// ErrPort: a port could not be bound.
	ErrPort = errors.New("a published port could not be bound")
)

// Link describes a connected network namespace.
type Link struct {
	// Process is the program behind the link.
	Process process.ID
	// Addresses of the container.
	Addresses []netip.Prefix
	// DNS are name servers reachable only through the link.
	DNS []string
	// HostAddress reaches the host from the container; empty if nothing does.
	HostAddress string
	// Warnings are the program's own, one line each.
	Warnings []string
}

// Program is a started helper.
type Program struct {
	*exec.Cmd
	log *os.File
}

// Spawn starts a helper in a session of its own, with /dev/null as its input and
// its messages in memory. Only extra is inherited, from descriptor 3 on.
func Spawn(path string, args []string, attr *syscall.SysProcAttr, extra ...*os.File) (*Program, error) {
	return SpawnAs(path, path, args, attr, extra...)
}

// SpawnAs is Spawn for a program that is known by another name, by which Find knows
// it too, than that of its file.
func SpawnAs(name, path string, args []string, attr *syscall.SysProcAttr, extra ...*os.File) (*Program, error) {
	fd, err := unix.MemfdCreate("helper.log", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	log := os.NewFile(uintptr(fd), "helper.log")
	// Not CommandContext: the helper must survive the context of its start.
	cmd := &exec.Cmd{Path: path, Args: append([]string{name}, args...)}
	cmd.Dir = "/" // a helper must not keep a file system busy
	cmd.Env = environment(os.Environ())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = extra
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	attr.Setsid = true
	cmd.SysProcAttr = attr
	// What pod's caller left open; pasta closes it itself, slirp4netns does not.
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", path, err), log.Close())
	}
	return &Program{Cmd: cmd, log: log}, nil
}

// environment keeps what a helper may need. Secrets given to pod by environment
// (-e NAME, registry passwords) are not to be seen in a long-lived process.
func environment(env []string) []string {
	var kept []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == "PATH", name == "HOME", name == "TMPDIR", name == "LANG", name == "XDG_RUNTIME_DIR",
			strings.HasPrefix(name, "LC_"), strings.HasPrefix(name, "ASAN_"):
			kept = append(kept, kv)
		}
	}
	return kept
}

// Messages returns what the helper has written so far, without the noise that
// pasta makes where there is no syslog.
func (p *Program) Messages() []string {
	buf := make([]byte, 16<<10)
	n, _ := p.log.ReadAt(buf, 0) // io.EOF: all was read
	var lines []string
	for line := range bytes.Lines(buf[:n]) {
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "Failed to send ") && strings.HasSuffix(text, " to syslog") {
			continue
		}
		lines = append(lines, text)
	}
	return lines
}

// Seal ends the helper's messages: what it says from now on goes to syslog alone, and
// must not fill the memory.
func (p *Program) Seal() error {
	if _, err := unix.FcntlInt(p.log.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW); err != nil {
		return fmt.Errorf("end the messages of %s: %w", p.Path, err)
	}
	return nil
}

// KillAll ends a helper that is not ready and whatever it has forked so far, which
// is in its process group until it makes a session of its own. It waits for the
// helper, so it must be the only one who does; not yet reaped, its pid cannot be
// another's.
func (p *Program) KillAll() {
	_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL) // already gone is as good
	_ = p.Wait()
}

// Close gives up the view of the helper's messages; the helper goes on.
func (p *Program) Close() error { return p.log.Close() }

// CheckTun says why a helper could not make its network device.
func CheckTun() error { return checkTun("/dev/net/tun") }

func checkTun(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err == nil {
		return unix.Close(fd)
	}
	const without = "or use --network none or --network host (pod doctor --check tun explains)"
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s is closed to this user: as root run `chmod 0666 %s`, %s", path, path, without)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%s is missing: as root run `modprobe tun`, %s", path, without)
	default:
		return fmt.Errorf("open %s: %w: %s", path, err, without)
	}
}

// Kill ends a helper and does not wait: taking down its device costs the kernel
// 10 to 50 ms. Helpers keep nothing that would need a gentler end.
func Kill(id process.ID) error {
	if id == (process.ID{}) {
		return nil
	}
	if err := id.Signal(syscall.SIGKILL); err != nil {
		if errors.Is(err, process.ErrGone) {
			return nil
		}
		return fmt.Errorf("stop network helper %d: %w", id.PID, err)
	}
	return nil
}

// Stop kills a helper and waits until it is gone.
func Stop(ctx context.Context, id process.ID) error {
	if id == (process.ID{}) {
		return nil
	}
	if err := Kill(id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := id.Wait(ctx); err != nil {
		return fmt.Errorf("stop network helper %d: %w", id.PID, err)
	}
	return nil
}

// forwarder is the first argument of pod's own helper (package forward).
const forwarder = "__forward"

// Find lists helpers by the namespace path on their command line. It is for
// recovery after a crash, when their identity was not recorded.
func Find(netns string) []process.ID {
	return process.FindArguments(func(who process.ID, args []string) bool {
		if len(args) == 0 || who.PID == os.Getpid() {
			return false
		}
		base := args[0][strings.LastIndexByte(args[0], '/')+1:]
		helper := base == "pasta" || base == "slirp4netns" || len(args) > 1 && args[1] == forwarder
		return helper && slices.Contains(args[1:], netns)
	})
}

// StopAll ends what Find finds, also when ctx was canceled: it undoes.
func StopAll(ctx context.Context, netns string) error {
	var errs []error
	for _, id := range Find(netns) {
		errs = append(errs, Stop(context.WithoutCancel(ctx), id))
	}
	return errors.Join(errs...)
}

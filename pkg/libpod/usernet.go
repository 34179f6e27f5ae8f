package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/network/usernet"
)

// hostResolv is where the host's name servers are.
const hostResolv = "/etc/resolv.conf"

// UserNet says where the network namespace of this store's bridge networks is,
// and what connects it.
func (e *Engine) UserNet() usernet.Config {
	h := e.netHelpers()
	return usernet.Config{
		Dir: filepath.Join(e.paths.net, "user"), NetNS: filepath.Join(e.paths.netns, "usernet-"+filepath.Base(e.paths.run)),
		Rootless: e.Session.Rootless, CacheDir: e.paths.net, Resolv: hostResolv,
		Pasta: h.Pasta, PastaOptions: h.PastaOptions, Slirp4netns: h.Slirp4netns, SlirpOptions: h.SlirpOptions, Default: h.Default,
		Place: e.placeShared,
	}
}

// placeShared moves a program that serves several containers to where their
// monitors are: it is not to end with the session or unit that needed it first.
// Without systemd it stays where it is.
func (e *Engine) placeShared(ctx context.Context, pid int) error {
	home := e.cgroupPlan().shared
	if home == "" {
		return nil
	}
	return e.supervise(ctx, home, pid)
}

// InUserNet runs a command in the network namespace of bridge networks, which is
// there at least as long as it runs, and returns its exit code.
func (e *Engine) InUserNet(ctx context.Context, path string, argv, env []string) (int, error) {
	cfg, self := e.UserNet(), process.Self()
	name := fmt.Sprintf("process-%d-%d", self.PID, self.Start)
	ns, err := usernet.Open(ctx, cfg, usernet.User{Name: name, Process: self})
	if err != nil {
		return 0, err
	}
	for _, w := range ns.Warnings {
		e.Warn(w)
	}
	// Standard streams are the command's, as those of unshare are.
	code, err := runInside(ctx, ns, &exec.Cmd{Path: path, Args: argv, Env: env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	return code, errors.Join(err, usernet.Release(context.WithoutCancel(ctx), cfg, name))
}

// runInside runs cmd in the namespace. The context does not end it: the terminal
// tells it of an interrupt, and what is sent to pod alone is passed on.
func runInside(ctx context.Context, ns *usernet.Namespace, cmd *exec.Cmd) (int, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT)
	defer signal.Stop(signals)
	if err := ns.Do(cmd.Start); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if s == unix.SIGTERM || s == unix.SIGHUP {
				_ = cmd.Process.Signal(s)
			}
		}
	}()
	err := cmd.Wait()
	signal.Stop(signals)
	close(signals)
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		return 0, err
	}
	status, _ := failed.Sys().(interface {
		Signaled() bool
		Signal() unix.Signal
	})
	if status != nil && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return failed.ExitCode(), ctx.Err()
}

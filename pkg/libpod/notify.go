package libpod

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	rspec "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/rootless-pod/pod/internal/sdnotify"
	"github.com/rootless-pod/pod/pkg/health"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// Who tells systemd that a container is ready (--sdnotify).
const (
	notifyContainer = "container"
	notifyConmon    = "conmon"
	notifyHealthy   = "healthy"
	notifyIgnore    = "ignore"
	notifyPod       = "pod" // no choice of the user's
)

// notifySocket is systemd's socket for a container; empty if nobody is to be told.
func (e *Engine) notifySocket(c *state.Container) string {
	if c.Spec.SDNotify == notifyIgnore || !e.speaks(c) {
		return ""
	}
	return e.NotifySocket
}

// notifyMode is the mode with its default. The infra container of a pod has nothing
// to say: whoever starts the pod does, when all is started (podReady).
func notifyMode(c *state.Container) string {
	switch {
	case c.Spec.IsInfra:
		return notifyPod
	case c.Spec.SDNotify == "":
		return notifyContainer
	}
	return c.Spec.SDNotify
}

// podReady tells systemd that a pod has started.
func (e *Engine) podReady(ctx context.Context, p *state.Pod) error {
	if e.NotifySocket == "" || p.InfraID == "" {
		return nil
	}
	c, err := e.state.Get(ctx, p.InfraID)
	if isAbsent(err) {
		return nil // the pod has ended already
	}
	if err != nil {
		return err
	}
	e.notify(ctx, c, "READY=1")
	return nil
}

// proxyNotify makes the directory in which conmon listens for the container's word,
// and returns the socket conmon passes it on to. conmon takes paths only.
func (e *Engine) proxyNotify(c *state.Container, l *launch) (string, error) {
	socket := e.notifySocket(c)
	if notifyMode(c) != notifyContainer || !filepath.IsAbs(socket) {
		return "", nil
	}
	dir := filepath.Join(l.dir, "notify")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // every user of the container may speak
		return "", fmt.Errorf("make directory of the notify socket: %w", err)
	}
	l.notify = true
	l.binds = append(l.binds, rspec.Mount{
		Destination: "/run/notify", Type: "bind", Source: dir, Options: []string{"bind", "rprivate", "nosuid", "nodev", "noexec"},
	})
	return socket, nil
}

// notifyStarted tells systemd who the main process is, and with mode conmon that
// it is ready.
func (e *Engine) notifyStarted(ctx context.Context, c *state.Container) {
	message := fmt.Sprintf("MAINPID=%d", c.Run.Conmon.PID)
	if notifyMode(c) == notifyConmon {
		message += "\nREADY=1"
	}
	e.notify(ctx, c, message)
}

// readyInterval is how often a container that systemd waits for is looked at.
const readyInterval = 100 * time.Millisecond

// awaitReady waits until a container with --sdnotify=healthy is healthy, and tells
// systemd so, if the process was started by it. A container that ends before is
// systemd's to notice. The caller holds no lock of c: its checks need it.
func (e *Engine) awaitReady(ctx context.Context, c *state.Container) error {
	if notifyMode(c) != notifyHealthy || e.notifySocket(c) == "" {
		return nil
	}
	for ; e.healthStatus(c) != health.Healthy; time.Sleep(readyInterval) {
		current, err := e.state.Get(ctx, c.ID)
		if isAbsent(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if e.status(current) == StatusExited || ctx.Err() != nil {
			return ctx.Err()
		}
		c = current
	}
	e.notify(ctx, c, "READY=1")
	return nil
}

// notify sends a message to systemd. That systemd does not hear it is no reason
// for the container to fail, but one to say so.
func (e *Engine) notify(ctx context.Context, c *state.Container, message string) {
	socket := e.notifySocket(c)
	if socket == "" {
		return
	}
	if err := sdnotify.Send(context.WithoutCancel(ctx), socket, message); err != nil && e.Warn != nil {
		e.Warn("systemd was not told " + strings.ReplaceAll(message, "\n", " ") + ": " + err.Error())
	}
}

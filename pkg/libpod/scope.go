package libpod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/scope"
	"github.com/rootless-pod/pod/internal/step"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// With systemd a container and its conmon live in one transient scope of the
// user's manager, pod-ID.scope: conmon in its child supervisor, the container
// in its child container. The scope is delegated, so the runtime makes the
// container's cgroup by mkdir, without a request of its own to systemd; and
// what is in it ends neither with the session nor with the unit that pod was
// started in. conmon is put there before it starts the runtime: a process of
// the session's cgroup could not be moved to the container's, whose common
// parent belongs to root.
const (
	supervisorCgroup = "supervisor"
	containerCgroup  = "container"
	// scopeTimeout bounds the wait for systemd to move a process.
	scopeTimeout = 10 * time.Second
)

func scopeName(id string) string { return "pod-" + id + ".scope" }

// scopeCgroup is the cgroup of a container's scope, by systemd's rule that a
// slice a-b.slice is below a.slice (systemd.slice(5)).
func (e *Engine) scopeCgroup(id, slice string) string {
	path := "/"
	if e.Session.Rootless {
		path = userManagerCgroup(e.Session.HostUID)
	}
	base := strings.TrimSuffix(slice, ".slice")
	for i, r := range base {
		if r == '-' && i > 0 {
			path = filepath.Join(path, base[:i]+".slice")
		}
	}
	return filepath.Join(path, slice, scopeName(id))
}

func userManagerCgroup(uid int) string {
	return fmt.Sprintf("/user.slice/user-%d.slice/user@%d.service", uid, uid)
}

// scopeSlice is the slice of a container's scope.
func (e *Engine) scopeSlice(c *state.Container) string {
	switch parent := c.Spec.Resources.CgroupParent; {
	case parent != "":
		return filepath.Base(parent)
	case e.Session.Rootless:
		return "user.slice"
	}
	return "machine.slice"
}

// conmonPlace returns what puts the conmon of a container into its scope; nil
// without systemd.
func (e *Engine) conmonPlace(c *state.Container) func(ctx context.Context, pid int) error {
	if e.cgroupPlan().manager != "systemd" || c.Spec.Resources.Cgroups == "disabled" {
		return nil
	}
	return func(ctx context.Context, pid int) error {
		return step.Do(ctx, "scope", func() error { return e.place(ctx, c, pid) })
	}
}

// execPlace returns what puts the conmon of an exec session into the scope of
// the container; nil if it can reach the container's cgroup from here.
func (e *Engine) execPlace(c *state.Container) func(ctx context.Context, pid int) error {
	if e.conmonPlace(c) == nil || !strings.HasSuffix(c.Run.Cgroup, "/"+containerCgroup) || !e.Session.Rootless ||
		strings.HasPrefix(e.cgroupPlan().own, userManagerCgroup(e.Session.HostUID)+"/") {
		return nil
	}
	return func(ctx context.Context, pid int) error {
		return step.Do(ctx, "scope", func() error {
			conn, err := e.systemd(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			return conn.Attach(ctx, scopeName(c.ID), "/"+supervisorCgroup, pid)
		})
	}
}

func (e *Engine) systemd(ctx context.Context) (*scope.Conn, error) {
	manager, ok := scope.Find(e.Session.HostUID, e.Session.RunBase)
	if !ok {
		return nil, errors.New("systemd is gone")
	}
	return manager.Connect(ctx)
}

// place makes the scope of a container around its conmon.
func (e *Engine) place(ctx context.Context, c *state.Container, pid int) error {
	slice := e.scopeSlice(c)
	want := e.scopeCgroup(c.ID, slice)
	if !strings.HasPrefix(processCgroup(pid), want) {
		conn, err := e.systemd(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := startScope(ctx, conn, scope.Unit{
			Name: scopeName(c.ID), Description: "pod container " + c.Name, Slice: slice, PID: pid, Delegate: true,
		}); err != nil {
			return err
		}
		if err := awaitCgroup(ctx, pid, want); err != nil {
			return err
		}
	}
	supervisor := filepath.Join(cgroupRoot, want, supervisorCgroup)
	if err := os.Mkdir(supervisor, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return os.WriteFile(filepath.Join(supervisor, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// startScope makes the scope, or joins it if the end of the container's last
// run still holds it.
func startScope(ctx context.Context, conn *scope.Conn, u scope.Unit) error {
	deadline := time.Now().Add(scopeTimeout)
	for pause := time.Millisecond; ; pause *= 2 {
		err := conn.Start(ctx, u)
		if errors.Is(err, scope.ErrExists) {
			err = conn.Attach(ctx, u.Name, "/"+supervisorCgroup, u.PID)
			if errors.Is(err, scope.ErrGone) && time.Now().Before(deadline) {
				time.Sleep(pause) // systemd is about to forget it
				continue
			}
		}
		return err
	}
}

// awaitCgroup waits until systemd has moved a process below a cgroup.
func awaitCgroup(ctx context.Context, pid int, want string) error {
	deadline := time.Now().Add(scopeTimeout)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		now := processCgroup(pid)
		switch {
		case now == want || strings.HasPrefix(now, want+"/"):
			return nil
		case now == "":
			return errors.New("conmon ended before systemd made its scope")
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("systemd did not move conmon to %s: it is in %s", want, now)
		}
		time.Sleep(pause)
	}
}

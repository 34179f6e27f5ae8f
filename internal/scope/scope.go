// Package scope makes transient units of systemd: scopes, so that processes
// outlive the session or unit they were started in, and timers. It speaks to the
// manager itself, not through a message bus.
package scope

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/godbus/dbus/v5"
)

// timeout bounds one request; it is a millisecond of work.
const timeout = 5 * time.Second

// Unit is a scope to make.
type Unit struct {
	// Name ends in .scope.
	Name        string
	Description string
	// Slice the scope is in; empty is the manager's default.
	Slice string
	PID   int
	// Delegate leaves the cgroup's inside to the processes in it.
	Delegate bool
}

// Manager is a running instance of systemd.
type Manager struct {
	socket string
	uid    int
}

// Find returns the manager of the user with this uid on the host, whose run
// directory is runtimeDir; root's is the system's. It says false if there is none.
func Find(uid int, runtimeDir string) (Manager, bool) {
	m := Manager{socket: filepath.Join(runtimeDir, "systemd/private"), uid: uid}
	if uid == 0 {
		m.socket = "/run/systemd/private"
	}
	info, err := os.Stat(m.socket)
	return m, err == nil && info.Mode()&os.ModeSocket != 0
}

// property is systemd's (sv).
type property struct {
	Name  string
	Value dbus.Variant
}

// auxiliary is systemd's (sa(sv)), which no unit has yet.
type auxiliary struct {
	Name       string
	Properties []property
}

// Errors of the manager that callers tell apart.
var (
	// ErrExists: there is a unit of that name already.
	ErrExists = errors.New("the unit exists already")
	// ErrGone: there is no such unit, or it is on its way out.
	ErrGone = errors.New("no such unit")
	// ErrNoManager: nobody answers.
	ErrNoManager = errors.New("systemd does not answer")
)

// Start makes one scope. That a unit of its name is there already is no error:
// somebody else made it for the same process.
func (m Manager) Start(ctx context.Context, u Unit) error {
	conn, err := m.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Start(ctx, u); !errors.Is(err, ErrExists) {
		return err
	}
	return nil
}

// Start makes the scope and returns when its process is in it. ErrExists if
// there is a unit of its name.
func (c *Conn) Start(ctx context.Context, u Unit) error {
	if err := c.call(ctx, u.Name, "StartTransientUnit", u.Name, "fail", u.properties(), []auxiliary{}); err != nil {
		return fmt.Errorf("start %s: %w", u.Name, err)
	}
	return nil
}

// Attach moves a process into a cgroup below that of a unit which was made with
// Delegate. ErrGone if the unit is not there.
func (c *Conn) Attach(ctx context.Context, unit, below string, pid int) error {
	if err := c.call(ctx, "", "AttachProcessesToUnit", unit, below, []uint32{uint32(pid)}); err != nil { //nolint:gosec // a pid
		return fmt.Errorf("move process %d into %s: %w", pid, unit, err)
	}
	return nil
}

func (u *Unit) properties() []property {
	props := []property{
		{"Description", dbus.MakeVariant(u.Description)},
		{"PIDs", dbus.MakeVariant([]uint32{uint32(u.PID)})}, //nolint:gosec // a pid
		// A scope that failed is forgotten as one that ended.
		{"CollectMode", dbus.MakeVariant("inactive-or-failed")},
		{"Delegate", dbus.MakeVariant(u.Delegate)},
	}
	if u.Slice != "" {
		props = append(props, property{"Slice", dbus.MakeVariant(u.Slice)})
	}
	return props
}

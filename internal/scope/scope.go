// Package scope puts processes into transient scopes of systemd, so that they
// outlive the session or unit they were started in. It speaks to the manager
// itself, not through a message bus.
package scope

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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

// Conn is a connection to a manager; it is for one command.
type Conn struct {
	bus *dbus.Conn
}

// Errors of the manager that callers tell apart.
var (
	// ErrExists: there is a unit of that name already.
	ErrExists = errors.New("the unit exists already")
	// ErrGone: there is no such unit, or it is on its way out.
	ErrGone = errors.New("no such unit")
)

// Connect connects to the manager's private socket, without a message bus.
func (m Manager) Connect(ctx context.Context) (*Conn, error) {
	bus, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(m.socket), dbus.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("connect to systemd at %s: %w", m.socket, err)
	}
	// The peer is asked for by its uid on the host; in a user namespace we would
	// say 0, and be refused.
	if err := bus.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(m.uid))}); err != nil {
		return nil, errors.Join(fmt.Errorf("authenticate to systemd at %s: %w", m.socket, err), bus.Close())
	}
	return &Conn{bus: bus}, nil
}

// Start makes one scope, without waiting for its processes to move. That a unit
// of its name is there already is no error: somebody else made it for the same
// process.
func (m Manager) Start(ctx context.Context, u Unit) error {
	conn, err := m.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Start(ctx, u); !errors.Is(err, ErrExists) {
		return err
	}
	return nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.bus.Close() }

// Start begins to make the scope; its processes move a moment later. ErrExists
// if there is a unit of its name.
func (c *Conn) Start(ctx context.Context, u Unit) error {
	return c.call(ctx, u.Name, "StartTransientUnit", u.Name, "fail", u.properties(), []auxiliary{})
}

// Attach moves a process into a cgroup below that of a unit which was made with
// Delegate. ErrGone if the unit is not there.
func (c *Conn) Attach(ctx context.Context, unit, below string, pid int) error {
	return c.call(ctx, unit, "AttachProcessesToUnit", unit, below, []uint32{uint32(pid)}) //nolint:gosec // a pid
}

func (c *Conn) call(ctx context.Context, unit, method string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	systemd := c.bus.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	err := systemd.CallWithContext(ctx, "org.freedesktop.systemd1.Manager."+method, 0, args...).Err
	var failed dbus.Error
	if errors.As(err, &failed) {
		switch failed.Name {
		case "org.freedesktop.systemd1.UnitExists":
			err = ErrExists
		case "org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.LoadFailed":
			err = ErrGone
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, unit, err)
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

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

// Start makes the scope. That a unit of its name is there already is no error:
// somebody else made it for the same process.
func (m Manager) Start(ctx context.Context, u Unit) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(m.socket), dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("connect to systemd at %s: %w", m.socket, err)
	}
	defer conn.Close()
	// The peer is asked for by its uid on the host; in a user namespace we would
	// say 0, and be refused.
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(m.uid))}); err != nil {
		return fmt.Errorf("authenticate to systemd at %s: %w", m.socket, err)
	}
	systemd := conn.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	call := systemd.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.StartTransientUnit", 0,
		u.Name, "fail", u.properties(), []auxiliary{})
	if call.Err != nil {
		var failed dbus.Error
		if errors.As(call.Err, &failed) && failed.Name == "org.freedesktop.systemd1.UnitExists" {
			return nil
		}
		return fmt.Errorf("start %s: %w", u.Name, call.Err)
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

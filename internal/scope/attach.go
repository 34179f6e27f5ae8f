package scope

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// systemBus is where the system's message bus listens unless told otherwise.
const systemBus = "unix:path=/run/dbus/system_bus_socket"

// AttachToUser asks the system's manager to move a process of the user to a
// cgroup that exists below that of the user's manager (below begins with a
// slash). It grants that to the user for his own processes, and does it at
// once: no unit is made, and the user's manager, which would ask the same, is
// not asked.
func AttachToUser(ctx context.Context, uid int, below string, pid int) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	address := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")
	if address == "" {
		address = systemBus
	}
	bus, err := dbus.Dial(address, dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("connect to the system bus: %w", err)
	}
	defer func() { err = errors.Join(err, bus.Close()) }()
	if err := bus.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(uid))}); err != nil {
		return fmt.Errorf("authenticate to the system bus: %w", err)
	}
	if err := bus.Hello(); err != nil {
		return fmt.Errorf("greet the system bus: %w", err)
	}
	unit := "user@" + strconv.Itoa(uid) + ".service"
	systemd := bus.Object("org.freedesktop.systemd1", "/org/freedesktop/systemd1")
	err = systemd.CallWithContext(ctx, "org.freedesktop.systemd1.Manager.AttachProcessesToUnit", 0,
		unit, "/"+strings.TrimPrefix(below, "/"), []uint32{uint32(pid)}).Err //nolint:gosec // a pid
	if err != nil {
		return fmt.Errorf("attach process %d to %s: %w", pid, unit, err)
	}
	return nil
}

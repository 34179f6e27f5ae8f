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
func AttachToUser(ctx context.Context, uid int, below string, pid int) error {
	unit := "user@" + strconv.Itoa(uid) + ".service"
	err := askSystem(ctx, uid, "systemd1", "Manager.AttachProcessesToUnit",
		unit, "/"+strings.TrimPrefix(below, "/"), []uint32{uint32(pid)}) //nolint:gosec // a pid
	if err != nil {
		return fmt.Errorf("attach process %d to %s: %w", pid, unit, err)
	}
	return nil
}

// SetLinger asks logind to start the user's manager with the machine and to keep
// it when he logs out. It grants that to the user himself, if polkit lets it.
func SetLinger(ctx context.Context, uid int, on bool) error {
	err := askSystem(ctx, uid, "login1", "Manager.SetUserLinger", uint32(uid), on, false) //nolint:gosec // a uid
	if err != nil {
		return fmt.Errorf("set linger: %w", err)
	}
	return nil
}

// askSystem calls one method of a service of freedesktop.org (systemd1, login1)
// on the system's bus as the user with this uid on the host.
func askSystem(ctx context.Context, uid int, service, method string, args ...any) (err error) {
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
	name, object := "org.freedesktop."+service, dbus.ObjectPath("/org/freedesktop/"+service)
	return bus.Object(name, object).CallWithContext(ctx, name+"."+method, 0, args...).Err
}

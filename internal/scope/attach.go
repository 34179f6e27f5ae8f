package scope

import (
	"context"
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
func askSystem(ctx context.Context, uid int, service, method string, args ...any) error {
	address := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS")
	if address == "" {
		address = systemBus
	}
	path, ok := strings.CutPrefix(address, "unix:path=")
	if !ok || strings.ContainsAny(path, ",;%") {
		return fmt.Errorf("DBUS_SYSTEM_BUS_ADDRESS %q is not supported: name a socket as unix:path=FILE", address)
	}
	bus, err := Manager{socket: path, uid: uid}.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = bus.Close() }()
	bus.to, bus.bus = "org.freedesktop."+service, true
	_, err = bus.exchange(ctx, timeout, "", func() error {
		iface, name, _ := strings.Cut(method, ".")
		return bus.askAt(dbus.ObjectPath("/org/freedesktop/"+service), bus.to+"."+iface, name, args)
	})
	return err
}

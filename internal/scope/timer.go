package scope

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Timer is a transient timer to make, with the service that it starts.
type Timer struct {
	// Name of both units, without the suffix.
	Name        string
	Description string
	// After is from now until the first run, Every from the end of one to the
	// next; 0: it runs once, and the units are gone.
	After, Every time.Duration
	// Path is the program, Args its arguments from the name on.
	Path string
	Args []string
	// Env are variables that the service gets besides the manager's.
	Env []string
}

// execCommand is systemd's (sasb): program, arguments, whether failure is none.
type execCommand struct {
	Path   string
	Args   []string
	Ignore bool
}

// monotonic is systemd's (st): which event, and microseconds since.
type monotonic struct {
	Base string
	USec uint64
}

// StartTimer makes a timer. It returns when the timer runs.
func (c *Conn) StartTimer(ctx context.Context, t Timer) error {
	times := []monotonic{{"OnActiveSec", microseconds(t.After)}}
	if t.Every > 0 {
		times = append(times, monotonic{"OnUnitInactiveSec", microseconds(t.Every)})
	}
	timer := []property{
		{"Description", dbus.MakeVariant(t.Description)},
		{"TimersMonotonic", dbus.MakeVariant(times)},
		{"AccuracyUSec", dbus.MakeVariant(microseconds(time.Millisecond))},
		{"RemainAfterElapse", dbus.MakeVariant(false)},
		{"CollectMode", dbus.MakeVariant("inactive-or-failed")},
	}
	service := []property{
		{"Description", dbus.MakeVariant(t.Description)},
		{"Type", dbus.MakeVariant("exec")},
		{"ExecStart", dbus.MakeVariant([]execCommand{{Path: t.Path, Args: literal(t.Args)}})},
		{"Environment", dbus.MakeVariant(t.Env)},
		// What the command has started (a container's monitor, its network) is to
		// go on after it.
		{"KillMode", dbus.MakeVariant("process")},
		// A command that was killed has not done its work.
		{"Restart", dbus.MakeVariant("on-abnormal")},
		{"RestartUSec", dbus.MakeVariant(microseconds(time.Second))},
		// Its time comes as often as it was asked to: each run starts the service.
		{"StartLimitIntervalUSec", dbus.MakeVariant(uint64(0))},
		{"CollectMode", dbus.MakeVariant("inactive-or-failed")},
	}
	name := t.Name + ".timer"
	aux := []auxiliary{{Name: t.Name + ".service", Properties: service}}
	if err := c.call(ctx, name, "StartTransientUnit", name, "fail", timer, aux); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return nil
}

// literal has systemd take arguments as they are: it puts values of its
// environment in the place of $NAME.
func literal(args []string) []string {
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = strings.ReplaceAll(arg, "$", "$$")
	}
	return out
}

// microseconds never says 0, which systemd takes for "not at all".
func microseconds(d time.Duration) uint64 { return uint64(max(d.Microseconds(), 1)) } //nolint:gosec // positive

// List returns the names of the loaded units that match a pattern of glob(7).
func (c *Conn) List(ctx context.Context, pattern string) ([]string, error) {
	body, err := c.reply(ctx, "", "ListUnitsByPatterns", []string{}, []string{pattern})
	if err != nil {
		return nil, fmt.Errorf("list units %s: %w", pattern, err)
	}
	if len(body) == 0 {
		return nil, nil
	}
	rows, _ := body[0].([][]any)
	names := make([]string, 0, len(rows))
	for _, row := range rows {
		if len(row) > 0 {
			if name, ok := row[0].(string); ok {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// Stop stops a unit and returns when it has stopped. ErrGone if there is none.
func (c *Conn) Stop(ctx context.Context, unit string) error {
	if err := c.call(ctx, unit, "StopUnit", unit, "replace"); err != nil {
		return fmt.Errorf("stop %s: %w", unit, err)
	}
	return nil
}

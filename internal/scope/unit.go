package scope

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	serviceInterface = "org.freedesktop.systemd1.Service"
	// slack is what systemd may take for a job beyond the unit's own time-outs.
	slack = 10 * time.Second
	// settling is how often a unit is looked at whose job cannot be waited for.
	settling = 100 * time.Millisecond
)

// JobError is a job of systemd that did not end well.
type JobError struct {
	Unit string
	// Result is the job's: failed, timeout, canceled, dependency, …
	Result string
	// Cause is the unit's own word for it: exit-code, signal, protocol, …; it may
	// be empty.
	Cause string
}

func (e *JobError) Error() string {
	text := fmt.Sprintf("the job of unit %s ended with %q", e.Unit, e.Result)
	if e.Cause != "" && e.Cause != "success" {
		text += " (" + e.Cause + ")"
	}
	return text
}

// Restart restarts a unit, and starts one that rests. It returns when the job has
// ended, for as long as the unit's own time-outs let that take; a job that ended
// otherwise than done is a *JobError.
func (m Manager) Restart(ctx context.Context, unit string) (err error) {
	conn, err := m.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	object, err := conn.load(ctx, unit)
	if err != nil {
		return fmt.Errorf("restart %s: %w", unit, err)
	}
	if limit, ok := conn.patience(ctx, object); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, &JobError{Unit: unit, Result: "timeout"})
		defer cancel()
	}
	// What has failed often in a row would be refused, and not be tried.
	if err := conn.Forget(ctx, unit); err != nil && !errors.Is(err, ErrGone) {
		return fmt.Errorf("restart %s: %w", unit, err)
	}
	job, err := conn.order(ctx, "RestartUnit", unit)
	if err != nil {
		return fmt.Errorf("restart %s: %w", unit, err)
	}
	result, err := conn.awaitJob(ctx, job)
	if err == nil && result == "done" {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return m.settle(ctx, unit) // systemd has executed itself anew, and gone on
	}
	failed := &JobError{Unit: unit, Result: result}
	failed.Cause, _ = text(conn.property(ctx, object, serviceInterface, "Result"))
	return failed
}

// State is the ActiveState of a unit: active, activating, failed, inactive, …; or
// ErrGone.
func (m Manager) State(ctx context.Context, unit string) (string, error) {
	conn, err := m.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	states, err := conn.States(ctx, []string{unit})
	if err != nil {
		return "", err
	}
	state := states[unit]
	if state.Load == "" || state.Load == "not-found" {
		return "", fmt.Errorf("unit %s: %w", unit, ErrGone)
	}
	return state.Active, nil
}

// settle waits until nothing is under way in a unit.
func (m Manager) settle(ctx context.Context, unit string) error {
	for {
		switch state, err := m.State(ctx, unit); {
		case err != nil && !errors.Is(err, ErrNoManager):
			return err
		case state == "active":
			return nil
		case state == "failed" || state == "inactive":
			return &JobError{Unit: unit, Result: state}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(settling):
		}
	}
}

// load returns the object of a unit, which is loaded if it was not.
func (c *Conn) load(ctx context.Context, unit string) (dbus.ObjectPath, error) {
	body, err := c.reply(ctx, "", "LoadUnit", unit)
	if err != nil {
		return "", err
	}
	return object(body)
}

// object is the path that an answer consists of.
func object(body []any) (dbus.ObjectPath, error) {
	if len(body) == 1 {
		if path, ok := body[0].(dbus.ObjectPath); ok {
			return path, nil
		}
	}
	return "", errors.New("systemd's answer is not understood")
}

// patience is how long a restart may take: as long as the unit's stop and its
// start. It says false if one of them may take for ever.
func (c *Conn) patience(ctx context.Context, unit dbus.ObjectPath) (time.Duration, bool) {
	limit := slack
	for _, name := range []string{"TimeoutStopUSec", "TimeoutStartUSec"} {
		value, err := c.property(ctx, unit, serviceInterface, name)
		if err != nil {
			return 0, false // no service: systemd's own limits hold
		}
		usec, ok := value.(uint64)
		if !ok || usec > math.MaxInt64/1000-uint64(limit/time.Microsecond) { // infinity is all ones
			return 0, false
		}
		limit += time.Duration(usec) * time.Microsecond //nolint:gosec // checked
	}
	return limit, true
}

// property reads a property of an object.
func (c *Conn) property(ctx context.Context, object dbus.ObjectPath, iface, name string) (any, error) {
	body, err := c.exchange(ctx, timeout, "", func() error {
		return c.askAt(object, "org.freedesktop.DBus.Properties", "Get", []any{iface, name})
	})
	if err != nil {
		return nil, err
	}
	if len(body) == 1 {
		if v, ok := body[0].(dbus.Variant); ok {
			return v.Value(), nil
		}
	}
	return nil, errors.New("systemd's answer is not understood")
}

// text is a property that is one.
func text(value any, err error) (string, error) {
	s, _ := value.(string)
	return s, err
}

// order has systemd begin a job, which replaces what else is under way with the
// unit, and returns the job.
func (c *Conn) order(ctx context.Context, method, unit string) (dbus.ObjectPath, error) {
	body, err := c.reply(ctx, "", method, unit, "replace")
	if err != nil {
		return "", err
	}
	return object(body)
}

// awaitJob waits for the end of a job and returns its result. systemd tells all
// its peers of every job.
func (c *Conn) awaitJob(ctx context.Context, job dbus.ObjectPath) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	for {
		msg, err := dbus.DecodeMessage(c.in)
		if err != nil {
			return "", fmt.Errorf("read systemd's answer: %w", err)
		}
		member, _ := msg.Headers[dbus.FieldMember].Value().(string)
		if msg.Type != dbus.TypeSignal || member != "JobRemoved" || len(msg.Body) < 4 {
			continue
		}
		if ended, _ := msg.Body[1].(dbus.ObjectPath); ended == job {
			result, _ := msg.Body[3].(string)
			return result, nil
		}
	}
}

package timer

import (
	"context"
	"errors"
	"strconv"

	"github.com/rootless-pod/pod/internal/scope"
)

// unit begins the names of a job's units. What follows differs from one Set to
// the next: the service of the one before may be running still, it may even be
// the caller.
func (t *Timers) unit(name string) string { return "pod-" + t.Store + "-" + name + "." }

func (t *Timers) setUnit(ctx context.Context, manager scope.Manager, j Job) (err error) {
	conn, err := manager.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := t.stopUnits(ctx, conn, j.Name); err != nil {
		return err
	}
	return conn.StartTimer(ctx, scope.Timer{
		Name: t.unit(j.Name) + strconv.FormatInt(boottime(), 36), Description: "pod " + j.Name,
		After: j.After, Every: j.Every,
		Path: t.Self, Args: append([]string{t.Self}, j.Args...), Env: jobEnv(t.Environ, false),
	})
}

func (t *Timers) clearUnits(ctx context.Context, manager scope.Manager, names []string) (err error) {
	conn, err := manager.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var errs []error
	for _, name := range names {
		errs = append(errs, t.stopUnits(ctx, conn, name))
	}
	return errors.Join(errs...)
}

// stopUnits stops the timers of a job, of which there is one at most unless two
// commands have set it at once.
func (t *Timers) stopUnits(ctx context.Context, conn *scope.Conn, name string) error {
	units, err := conn.List(ctx, t.unit(name)+"*.timer")
	if err != nil {
		return err
	}
	for _, unit := range units {
		if err := conn.Stop(ctx, unit); err != nil && !errors.Is(err, scope.ErrGone) {
			return err
		}
	}
	return nil
}

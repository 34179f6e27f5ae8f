package scope

import (
	"context"
	"fmt"
	"time"
)

// slow bounds what systemd does by running others: generators at a reload, the
// stopping of a service, which has a limit of its own.
const slow = 10 * time.Minute

// State is what the manager knows of a unit.
type State struct {
	// Load is loaded, not-found, masked or error; Active is active, inactive, failed,
	// activating or deactivating; Sub is finer, and depends on the kind of unit.
	Load, Active, Sub string
}

// Runs says whether the unit is anything but at rest.
func (s State) Runs() bool { return s.Active != "" && s.Active != "inactive" && s.Active != "failed" }

// Reload has the manager run its generators and read all units anew. It returns when
// that is done.
func (c *Conn) Reload(ctx context.Context) error {
	if _, err := c.within(ctx, slow, "", "Reload"); err != nil {
		return fmt.Errorf("reload systemd: %w", err)
	}
	return nil
}

// States are those of units by their names; the manager has a state for any name.
func (c *Conn) States(ctx context.Context, units []string) (map[string]State, error) {
	body, err := c.reply(ctx, "", "ListUnitsByNames", units)
	if err != nil {
		return nil, fmt.Errorf("ask for the state of units: %w", err)
	}
	return states(body), nil
}

// StatesLike are those of the loaded units that match one of the patterns of glob(7).
func (c *Conn) StatesLike(ctx context.Context, patterns []string) (map[string]State, error) {
	body, err := c.reply(ctx, "", "ListUnitsByPatterns", []string{}, patterns)
	if err != nil {
		return nil, fmt.Errorf("list units: %w", err)
	}
	return states(body), nil
}

// states reads systemd's a(ssssssouso): name, description, load, active and sub state
// come first.
func states(body []any) map[string]State {
	found := map[string]State{}
	if len(body) == 0 {
		return found
	}
	rows, _ := body[0].([][]any)
	for _, row := range rows {
		found[column(row, 0)] = State{Load: column(row, 2), Active: column(row, 3), Sub: column(row, 4)}
	}
	return found
}

func column(row []any, i int) string {
	if i >= len(row) {
		return ""
	}
	text, _ := row[i].(string)
	return text
}

// StopSlow stops a unit, and returns when it has stopped, as long as that takes. ErrGone
// if there is none.
func (c *Conn) StopSlow(ctx context.Context, unit string) error {
	if _, err := c.within(ctx, slow, unit, "StopUnit", unit, "replace"); err != nil {
		return fmt.Errorf("stop %s: %w", unit, err)
	}
	return nil
}

// Forget has the manager forget that a unit failed.
func (c *Conn) Forget(ctx context.Context, unit string) error {
	return c.call(ctx, "", "ResetFailedUnit", unit)
}

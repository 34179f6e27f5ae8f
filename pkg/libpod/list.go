package libpod

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/timeparse"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// List returns the containers that match every key of the filters (KEY=VALUE,
// several values of a key are alternatives), oldest first.
func (e *Engine) List(ctx context.Context, filters []string) ([]*state.Container, error) {
	match, err := e.matcher(ctx, filters)
	if err != nil {
		return nil, err
	}
	all, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c *state.Container) bool { return !match(c) }), nil
}

type predicate func(c *state.Container) bool

// matcher compiles filters.
func (e *Engine) matcher(ctx context.Context, filters []string) (predicate, error) {
	byKey := map[string][]predicate{}
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("invalid filter %q: write KEY=VALUE", f)
		}
		negate := strings.HasSuffix(key, "!")
		p, err := e.filter(ctx, strings.TrimSuffix(key, "!"), value)
		if err != nil {
			return nil, err
		}
		if negate {
			inner := p
			p = func(c *state.Container) bool { return !inner(c) }
		}
		byKey[key] = append(byKey[key], p)
	}
	return func(c *state.Container) bool {
		for key, alternatives := range byKey {
			// Every label asked for must be there; of other keys one suffices.
			if strings.HasPrefix(key, "label") || strings.HasPrefix(key, "annotation") {
				if slices.ContainsFunc(alternatives, func(p predicate) bool { return !p(c) }) {
					return false
				}
				continue
			}
			if !slices.ContainsFunc(alternatives, func(p predicate) bool { return p(c) }) {
				return false
			}
		}
		return true
	}, nil
}

// filter compiles one filter of the field's keys.
func (e *Engine) filter(ctx context.Context, key, value string) (predicate, error) {
	switch key {
	case "id":
		return func(c *state.Container) bool { return strings.HasPrefix(c.ID, strings.ToLower(value)) }, nil
	case "name":
		return byPattern(key, value, func(c *state.Container) string { return c.Name })
	case "command":
		return byPattern(key, value, func(c *state.Container) string {
			return strings.Join(commandLine(c), " ")
		})
	case "label":
		return byPair(value, func(c *state.Container) map[string]string { return c.Spec.Labels }), nil
	case "annotation":
		return byPair(value, func(c *state.Container) map[string]string { return c.Spec.Annotations }), nil
	case "status":
		return e.byStatus(value)
	case "exited":
		code, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("exited code out of range %q: a number from 0 to 255 is wanted", value)
		}
		return func(c *state.Container) bool {
			x := e.exit(c)
			return e.status(c) == StatusExited && x != nil && x.Code == code
		}, nil
	case "ancestor":
		return byAncestor(value), nil
	case "before", "since":
		return e.byAge(ctx, key, value)
	case "until":
		at, err := timeparse.Parse(value, time.Now())
		if err != nil {
			return nil, err
		}
		return func(c *state.Container) bool { return c.Created.Before(at) }, nil
	case "unused-for":
		span, err := timeparse.Span(value)
		if err != nil {
			return nil, fmt.Errorf("filter unused-for: %w", err)
		}
		return func(c *state.Container) bool { return !isLive(e.status(c)) && time.Since(LastActive(c)) >= span }, nil
	case "volume":
		return byVolume(value), nil
	case "network":
		return e.byNetwork(value), nil
	case "restart-policy":
		return func(c *state.Container) bool { return policyName(c) == value }, nil
	case "should-start-on-boot":
		return byStartOnBoot(value)
	case "pod":
		return e.byPod(ctx, value)
	case "health":
		return func(c *state.Container) bool { return string(e.healthStatus(c)) == value }, nil
	}
	return nil, fmt.Errorf("%s is an invalid filter: use ancestor, annotation, before, command, exited, health, id, label, name, network, pod, restart-policy, should-start-on-boot, since, status, until, unused-for or volume", key)
}

// LastActive is when a container that is at rest did something last.
func LastActive(c *state.Container) time.Time {
	if c.Last != nil {
		return c.Last.FinishedAt
	}
	return c.Created
}

func byPattern(key, value string, of func(*state.Container) string) (predicate, error) {
	re, err := regexp.Compile(value)
	if err != nil {
		return nil, fmt.Errorf("filter %s=%s: %w", key, value, err)
	}
	return func(c *state.Container) bool { return re.MatchString(of(c)) }, nil
}

func byPair(value string, of func(*state.Container) map[string]string) predicate {
	name, want, valued := strings.Cut(value, "=")
	return func(c *state.Container) bool {
		have, ok := of(c)[name]
		return ok && (!valued || have == want)
	}
}

func (e *Engine) byStatus(value string) (predicate, error) {
	want := Status(strings.ToLower(value))
	switch want {
	case "stopped":
		want = StatusExited
	case "configured":
		want = StatusCreated
	case StatusCreated, StatusInitialized, StatusRunning, StatusPaused, StatusStopping, StatusExited, StatusRemoving, StatusCreating:
	case "unknown", "dead", "restarting":
		return func(*state.Container) bool { return false }, nil
	default:
		return nil, fmt.Errorf("unknown container state: %s: use created, exited, initialized, paused, removing, running, stopped or stopping: invalid argument", value)
	}
	return func(c *state.Container) bool { return e.status(c) == want }, nil
}

func byAncestor(value string) predicate {
	return func(c *state.Container) bool {
		if c.ImageID == value || (len(value) >= 3 && strings.HasPrefix(c.ImageID, strings.TrimPrefix(value, "sha256:"))) {
			return true
		}
		name, tag := c.ImageName, ""
		if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
			name, tag = name[:i], name[i+1:]
		}
		return c.ImageName == value || name == value || strings.HasSuffix(name, "/"+value) ||
			(tag != "" && strings.HasSuffix(c.ImageName, "/"+value))
	}
}

func (e *Engine) byAge(ctx context.Context, key, value string) (predicate, error) {
	other, err := e.state.Lookup(ctx, value)
	if err != nil {
		return nil, err
	}
	if key == "before" {
		return func(c *state.Container) bool { return c.Created.Before(other.Created) }, nil
	}
	return func(c *state.Container) bool { return c.Created.After(other.Created) }, nil
}

func byVolume(value string) predicate {
	name, destination, both := strings.Cut(value, ":")
	return func(c *state.Container) bool {
		for _, m := range c.Spec.Storage.Mounts {
			if both && m.Source == name && m.Destination == destination {
				return true
			}
			if !both && (m.Source == name || m.Destination == name) {
				return true
			}
		}
		return false
	}
}

func byStartOnBoot(value string) (predicate, error) {
	want, err := strconv.ParseBool(value)
	if err != nil {
		return nil, fmt.Errorf("filter should-start-on-boot=%s: use true or false", value)
	}
	return func(c *state.Container) bool { return shouldStartOnBoot(c) == want }, nil
}

// shouldStartOnBoot is what the field's filter of that name says, which counts
// containers that were never started.
func shouldStartOnBoot(c *state.Container) bool {
	return c.Spec.Restart == "always" || (c.Spec.Restart == "unless-stopped" && c.Wanted)
}

func policyName(c *state.Container) string {
	if c.Spec.Restart == "" {
		return "no"
	}
	return c.Spec.Restart
}

// NetworkMode is the kind of network a container has, without its options.
func NetworkMode(c *state.Container) string {
	mode, _, _ := strings.Cut(c.Spec.Network.Mode, ":")
	if mode == "" {
		if result, ok := NetworkOf(c); ok {
			return result.Driver
		}
		return "pasta"
	}
	return mode
}

package events

import (
	"fmt"
	"strings"
	"time"
)

// Filter selects events.
type Filter struct {
	// Since and Until bound the time; zero is no bound.
	Since, Until time.Time
	// Filters are the values per key, as of ParseFilters: an event must match
	// one value of each key.
	Filters map[string][]string
	// Stream goes on with new events until the context ends or Until comes. A
	// stream without Since and Until begins now.
	Stream bool
}

// ParseFilters reads KEY=VALUE filters.
func ParseFilters(filters []string) (map[string][]string, error) {
	if len(filters) == 0 {
		return nil, nil
	}
	parsed := make(map[string][]string, len(filters))
	for _, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("%q is an invalid filter: give KEY=VALUE", f)
		}
		key = strings.ToLower(key)
		if key == "status" {
			key = "event"
		}
		switch key {
		case "artifact", "container", "event", "image", "label", "pod", "type", "volume":
			parsed[key] = append(parsed[key], value)
		default:
			return nil, fmt.Errorf("%q is an invalid filter: the keys are artifact, container, event, image, label, pod, type and volume", key)
		}
	}
	return parsed, nil
}

// Match tells whether the filter selects e.
func (f *Filter) Match(e *Event) bool {
	if !f.Since.IsZero() && e.Time.Before(f.Since) || !f.Until.IsZero() && e.Time.After(f.Until) {
		return false
	}
	for key, values := range f.Filters {
		if !matchAny(e, key, values) {
			return false
		}
	}
	return true
}

func matchAny(e *Event, key string, values []string) bool {
	for _, v := range values {
		if match(e, key, v) {
			return true
		}
	}
	return false
}

func match(e *Event, key, value string) bool {
	named := func(t Type) bool {
		return e.Type == t && (e.Name == value || value != "" && strings.HasPrefix(e.ID, value))
	}
	switch key {
	case "container":
		return named(Container)
	case "image":
		return named(Image)
	case "volume":
		return e.Type == Volume && e.Name == value
	case "pod":
		return named(Pod)
	case "type":
		return string(e.Type) == value
	case "event":
		return string(e.Status) == value || value == "die" && e.Status == Died
	case "label":
		name, want, hasValue := strings.Cut(value, "=")
		got, ok := e.Attributes[name]
		return ok && (!hasValue || got == want)
	}
	return false // there are no artifacts yet
}

package libpod

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rootless-pod/pod/internal/timeparse"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/volume"
)

// volumeTest says whether a volume is meant.
type volumeTest func(*state.Volume) bool

// volumeView is what filters of volumes must know besides the volume.
type volumeView struct {
	used     map[string]bool
	lastUsed func(*state.Volume) time.Time
	created  func(name string) (time.Time, error)
	now      time.Time
}

// FilterVolumes keeps the volumes that match: values of one key are alternatives, but
// for labels, and all keys must hold.
func (e *Engine) FilterVolumes(ctx context.Context, filters []string) ([]*state.Volume, error) {
	all, err := e.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	if len(filters) == 0 {
		return all, nil
	}
	view := volumeView{lastUsed: e.VolumeLastUsed, now: time.Now(), created: func(name string) (time.Time, error) {
		v, err := e.state.Volume(ctx, name)
		if err != nil {
			return time.Time{}, err
		}
		return v.Created, nil
	}}
	if view.used, err = e.usedVolumes(ctx); err != nil {
		return nil, err
	}
	match, err := view.matcher(filters)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(v *state.Volume) bool { return !match(v) }), nil
}

// usedVolumes are the volumes that containers use.
func (e *Engine) usedVolumes(ctx context.Context) (map[string]bool, error) {
	containers, err := e.state.List(ctx)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, c := range containers {
		for _, name := range c.AnonymousVolumes {
			used[name] = true
		}
		for _, m := range c.Spec.Storage.Mounts {
			if m.Type == "volume" {
				used[m.Source] = true
			}
		}
	}
	return used, nil
}

func (view *volumeView) matcher(filters []string) (volumeTest, error) {
	keys := map[string][]volumeTest{}
	for _, f := range filters {
		key, value, valued := strings.Cut(f, "=")
		if !valued && key != "dangling" && key != "anonymous" {
			return nil, fmt.Errorf("invalid filter %q: it is KEY=VALUE", f)
		}
		test, err := view.test(key, value)
		if err != nil {
			return nil, err
		}
		if key == "label" || key == "label!" {
			key = f // all labels must hold
		}
		keys[key] = append(keys[key], test)
	}
	return func(v *state.Volume) bool {
		for _, alternatives := range keys {
			if !slices.ContainsFunc(alternatives, func(holds volumeTest) bool { return holds(v) }) {
				return false
			}
		}
		return true
	}, nil
}

// test compiles one filter.
func (view *volumeView) test(key, value string) (volumeTest, error) {
	switch key {
	case "name":
		re, err := regexp.Compile(value)
		if err != nil {
			return nil, fmt.Errorf("filter name: %w", err)
		}
		return func(v *state.Volume) bool { return re.MatchString(v.Name) }, nil
	case "driver":
		return func(v *state.Volume) bool { return v.Driver == value }, nil
	case "scope":
		return func(*state.Volume) bool { return value == "local" }, nil
	case "label", "label!":
		return labelTest(value, key == "label"), nil
	case "opt":
		return optionTest(value), nil
	case "since", "after", "until", "unused-for":
		return view.timeTest(key, value)
	case "dangling", "anonymous", "all":
		return view.stateTest(key, value)
	}
	return nil, fmt.Errorf("%q is an invalid volume filter: use after, all, anonymous, dangling, driver, label, name, opt, scope, since, until or unused-for", key)
}

func labelTest(value string, want bool) volumeTest {
	name, text, valued := strings.Cut(value, "=")
	return func(v *state.Volume) bool {
		have, ok := v.Labels[name]
		return (ok && (!valued || have == text)) == want
	}
}

func optionTest(value string) volumeTest {
	name, text, valued := strings.Cut(value, "=")
	return func(v *state.Volume) bool {
		options, err := volume.Parse(v.Driver, v.Options)
		if err != nil {
			return false
		}
		have, ok := options.Recorded[name]
		return ok && (!valued || text == "" || have == text)
	}
}

func (view *volumeView) timeTest(key, value string) (volumeTest, error) {
	switch key {
	case "until":
		at, err := timeparse.Parse(value, view.now)
		if err != nil {
			return nil, err
		}
		return func(v *state.Volume) bool { return v.Created.Before(at) }, nil
	case "unused-for":
		span, err := timeparse.Span(value)
		if err != nil {
			return nil, fmt.Errorf("filter unused-for: %w", err)
		}
		return func(v *state.Volume) bool { return view.now.Sub(view.lastUsed(v)) >= span }, nil
	}
	at, err := view.created(value)
	if err != nil {
		return nil, err
	}
	return func(v *state.Volume) bool { return v.Created.After(at) }, nil
}

func (view *volumeView) stateTest(key, value string) (volumeTest, error) {
	want := true
	if value != "" {
		var err error
		if want, err = strconv.ParseBool(value); err != nil {
			return nil, fmt.Errorf("%q is not a valid value for the %q filter - must be true or false", value, key)
		}
	}
	switch key {
	case "dangling":
		return func(v *state.Volume) bool { return view.used[v.Name] != want }, nil
	case "anonymous":
		return func(v *state.Volume) bool { return v.Anonymous == want }, nil
	}
	return func(*state.Volume) bool { return true }, nil // all: see PrunableVolumes
}

// PrunableVolumes are the volumes that no container uses and that match the filters
// (after, all, anonymous, label, label!, since, until, unused-for); without all only
// anonymous ones.
func (e *Engine) PrunableVolumes(ctx context.Context, all bool, filters []string) ([]*state.Volume, error) {
	for _, f := range filters {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "all":
			every, err := strconv.ParseBool(value)
			if err != nil {
				return nil, fmt.Errorf("%q is not a valid value for the %q filter - must be true or false", value, key)
			}
			all = all || every
		case "anonymous":
			all = true // it says itself which
		case "after", "label", "label!", "since", "until", "unused-for":
		default:
			return nil, fmt.Errorf("%q is an invalid volume filter: use after, all, anonymous, label, label!, since, until or unused-for", key)
		}
	}
	found, err := e.FilterVolumes(ctx, append(slices.Clone(filters), "dangling=true"))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(v *state.Volume) bool { return (!all && !v.Anonymous) || e.volumeMounts(v.Name) > 0 }), nil
}

// PruneVolumes removes the prunable volumes.
func (e *Engine) PruneVolumes(ctx context.Context, all bool, filters []string) ([]Pruned, error) {
	volumes, err := e.PrunableVolumes(ctx, all, filters)
	if err != nil {
		return nil, err
	}
	var pruned []Pruned
	var errs []error
	for _, v := range volumes {
		p := Pruned{ID: v.Name, Size: e.VolumeSize(ctx, v)}
		err := e.WithReserve(func() error { return e.removeUnused(ctx, v.Name, false) })
		var absent state.ErrNoVolume
		var used *CodedError
		switch {
		case err == nil:
			pruned = append(pruned, p)
		case errors.As(err, &absent), errors.As(err, &used): // gone, or used since
		default:
			errs = append(errs, err)
		}
	}
	return pruned, errors.Join(errs...)
}

// Reloaded is what a reload of the plugins' volumes changed.
type Reloaded struct{ Added, Removed []string }

// ReloadVolumes makes records of the volumes that plugins have and pod does not know,
// and drops those of volumes that their plugin has no more, unless containers use them.
// A plugin that cannot be asked is an error, and its volumes stay.
func (e *Engine) ReloadVolumes(ctx context.Context) (Reloaded, error) {
	var out Reloaded
	all, err := e.state.Volumes(ctx)
	if err != nil {
		return out, err
	}
	known := map[string]*state.Volume{}
	for _, v := range all {
		known[v.Name] = v
	}
	var errs []error
	for _, driver := range slices.Sorted(maps.Keys(e.Config.Engine.VolumePlugins)) {
		errs = append(errs, e.reloadPlugin(ctx, driver, known, &out))
	}
	return out, errors.Join(errs...)
}

func (e *Engine) reloadPlugin(ctx context.Context, driver string, known map[string]*state.Volume, out *Reloaded) error {
	p, err := e.volumePlugin("", driver)
	if err != nil {
		return err
	}
	listed, err := p.List(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	var errs []error
	for _, found := range listed {
		there[found.Name] = true
		if known[found.Name] != nil || volume.CheckName(found.Name) != nil {
			continue
		}
		if err := e.adopt(ctx, &state.Volume{Name: found.Name, Created: time.Now().UTC(), Driver: driver}); err != nil {
			errs = append(errs, err)
			continue
		}
		out.Added = append(out.Added, found.Name)
	}
	for _, v := range known {
		if v.Driver != driver || there[v.Name] {
			continue
		}
		if err := e.removeUnused(ctx, v.Name, false); err != nil {
			errs = append(errs, err)
			continue
		}
		out.Removed = append(out.Removed, v.Name)
	}
	slices.Sort(out.Removed)
	return errors.Join(errs...)
}

// adopt makes the record of a volume that its plugin has already.
func (e *Engine) adopt(ctx context.Context, v *state.Volume) error {
	lock, err := e.lockVolume(ctx, v.Name)
	if err != nil {
		return err
	}
	defer e.unlock(lock)
	place := e.volumePlace(v.Name)
	if err := place.Claim(); err != nil {
		return fmt.Errorf("volume %s: %w", v.Name, err)
	}
	if err := e.state.AddVolume(ctx, v); err != nil {
		return errors.Join(err, place.Remove())
	}
	return place.Make(0, 0)
}

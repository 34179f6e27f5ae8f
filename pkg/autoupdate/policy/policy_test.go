package policy

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for value, want := range map[string]Kind{
		"": Disabled, "disabled": Disabled, "image": Registry, "registry": Registry, "local": Local,
	} {
		if got, err := Parse(value); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", value, got, err, want)
		}
	}
	for _, value := range []string{"Registry", "yes", "registry "} {
		_, err := Parse(value)
		if err == nil || !strings.HasSuffix(err.Error(), `valid policies are ["disabled" "image" "local" "registry"]`) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestOwnLabels(t *testing.T) {
	all := map[string]string{Label: "local", AuthfileLabel: "/f", UnitName: "dbus.service", "app": "x"}
	for _, tt := range []struct {
		kind, authfile string
		left           []string
	}{
		{"", "", []string{"app"}},
		{"local", "", []string{"app", Label}},
		{"local", "/f", []string{"app", Label, AuthfileLabel}},
	} {
		labels := maps.Clone(all)
		OwnLabels(labels, tt.kind, tt.authfile)
		if left := slices.Sorted(maps.Keys(labels)); !slices.Equal(left, tt.left) {
			t.Errorf("%q, %q: %v", tt.kind, tt.authfile, left)
		}
	}
}

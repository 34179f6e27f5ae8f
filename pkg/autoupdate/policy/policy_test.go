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

func TestCheckReference(t *testing.T) {
	for _, tt := range []struct{ value, image, problem string }{
		{"registry", "quay.io/a/b:1", ""},
		{"registry", "docker://quay.io/a/b", ""},
		{"registry", "localhost:5000/a", ""},
		{"registry", "quay.io/a/b@sha256:" + strings.Repeat("a", 64), ""},
		{"image", "alpine", "short name: auto updates require fully-qualified image reference: \"alpine\""},
		{"registry", "library/alpine:3", "short name"},
		{"registry", strings.Repeat("a", 64), "short name"},
		{"registry", "oci-archive:/tmp/a.tar", "image is of transport \"oci-archive\""},
		{"registry", "containers-storage:[overlay@/a+/b]quay.io/a", "image is of transport \"containers-storage\""},
		{"local", "alpine", ""},
		{"disabled", "alpine", ""},
		{"nonsense", "alpine", ""},
	} {
		err := CheckReference(tt.value, tt.image)
		if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s of %s: %v, want %q", tt.value, tt.image, err, tt.problem)
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

package scope

import (
	"maps"
	"testing"
)

func TestStates(t *testing.T) {
	body := []any{[][]any{
		{"a.service", "A", "loaded", "active", "running", ""},
		{"b.service", "b.service", "not-found", "inactive", "dead", "", "/path"},
		{"short"},
	}}
	want := map[string]State{
		"a.service": {"loaded", "active", "running"},
		"b.service": {"not-found", "inactive", "dead"},
		"short":     {},
	}
	if got := states(body); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := states(nil); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for state, want := range map[string]bool{"active": true, "activating": true, "deactivating": true, "inactive": false, "failed": false, "": false} {
		if got := (State{Active: state}).Runs(); got != want {
			t.Errorf("%q runs: %v", state, got)
		}
	}
}

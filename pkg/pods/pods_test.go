package pods

import (
	"reflect"
	"testing"
)

func TestStatus(t *testing.T) {
	for name, c := range map[string]struct {
		counts Counts
		want   string
	}{
		"empty":            {Counts{}, Created},
		"never started":    {Counts{Total: 2}, Created},
		"all run":          {Counts{Total: 2, Running: 2}, Running},
		"some run":         {Counts{Total: 2, Running: 1, Exited: 1}, Degraded},
		"all paused":       {Counts{Total: 2, Paused: 2}, Paused},
		"some paused":      {Counts{Total: 2, Paused: 1}, Degraded},
		"paused and up":    {Counts{Total: 2, Paused: 1, Running: 1}, Degraded},
		"all ended":        {Counts{Total: 2, Exited: 2}, Exited},
		"some ended":       {Counts{Total: 2, Exited: 1}, Stopped},
		"ended and paused": {Counts{Total: 2, Exited: 1, Paused: 1}, Degraded},
	} {
		if got := Status(c.counts); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestLevels(t *testing.T) {
	for name, c := range map[string]struct {
		members []Member
		want    [][]string
	}{
		"none":        {nil, nil},
		"independent": {[]Member{{ID: "a"}, {ID: "b"}}, [][]string{{"a", "b"}}},
		"chain":       {[]Member{{"c", []string{"b"}}, {"b", []string{"a"}}, {ID: "a"}}, [][]string{{"a"}, {"b"}, {"c"}}},
		"stranger":    {[]Member{{"a", []string{"elsewhere"}}}, [][]string{{"a"}}},
		"itself":      {[]Member{{"a", []string{"a"}}}, [][]string{{"a"}}},
		"ring":        {[]Member{{ID: "x"}, {"a", []string{"b"}}, {"b", []string{"a"}}}, [][]string{{"x"}, {"a", "b"}}},
		"diamond": {
			[]Member{{ID: "a"}, {"b", []string{"a"}}, {"c", []string{"a"}}, {"d", []string{"b", "c"}}},
			[][]string{{"a"}, {"b", "c"}, {"d"}},
		},
	} {
		if got := Levels(c.members); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

package jsononce_test

import (
	"encoding/json"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/rootless-pod/pod/internal/jsononce"
)

type own struct{ n int }

func (o *own) MarshalJSON() ([]byte, error) { return []byte(`{ "own": true }`), nil }

type whole struct{ N int }

func (w whole) IsZero() bool { return w.N == 7 }

type byAddress struct{ N int }

func (w *byAddress) IsZero() bool { return w.N == 7 }

type inner struct{ X, Y int }

func TestMarshal(t *testing.T) {
	var none *inner
	var nothing any = none
	loop := map[string]any{}
	loop["self"] = loop
	for name, v := range map[string]any{
		"nil": nil, "nil pointer": none, "interface of a nil pointer": &nothing,
		"strings":      []string{"", "plain", `"quoted\`, "<&>", "\n\x00\x7f", "ünï", "\xff", "\u2028"},
		"numbers":      []any{0, -1, uint64(math.MaxUint64), int8(-128), 1.5, 1e30, float32(0.1), true, false},
		"not a number": math.NaN(), "a function": func() {}, "a channel in a struct": struct{ C chan int }{},
		"bytes": []byte("bytes"), "no bytes": []byte(nil), "array": [3]byte{1, 2, 3}, "empty": []int{}, "absent": []int(nil),
		"map": map[string]int{"b": 2, "a": 1, "<": 3}, "nil map": map[string]int(nil), "numbers as keys": map[int]string{2: "b", 1: "a"},
		"texts as keys": map[netip.Addr]int{netip.MustParseAddr("::1"): 1},
		"raw":           json.RawMessage(` { "a" : 1 } `), "broken raw": json.RawMessage(`{`), "number": json.Number("1.50"),
		"duration": time.Second, "time": time.Unix(1, 5).UTC(), "addresses": []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		"own method, by address": &struct{ A own }{own{1}}, "own method, no address": struct{ A own }{own{1}},
		"own method in a list": []own{{1}}, "own method in a map": map[string]own{"a": {1}}, "pointer to it": map[string]*own{"a": {1}, "b": nil},
		"embedded": struct {
			inner
			Z int
		}{inner{1, 2}, 3},
		"in strings": struct {
			A int `json:",string"`
		}{1},
		"names": struct {
			A int `json:"a b"`
			B int `json:""`
			C int `json:"-"`
			D int `json:"-,"`
			E int `yaml:"e"`
			f int
		}{1, 2, 3, 4, 5, 6},
		"omitted": struct {
			A []int          `json:",omitempty"`
			B *int           `json:",omitempty"`
			C inner          `json:",omitempty"` //nolint:modernize // without effect, as there
			D inner          `json:",omitzero"`
			E time.Time      `json:",omitzero"`
			F whole          `json:",omitzero"`
			G whole          `json:",omitzero"`
			H byAddress      `json:",omitzero"`
			I map[string]int `json:",omitempty"`
			J any            `json:",omitempty"`
			K [0]int         `json:",omitempty"`
			L float64        `json:",omitempty"`
			M [2]int         `json:",omitzero"`
		}{A: []int{}, F: whole{7}, H: byAddress{7}},
		"pointer of its own zero": struct {
			A *whole `json:",omitzero"`
			B *whole `json:",omitzero"`
			C any    `json:",omitzero"`
		}{A: &whole{7}, C: whole{7}},
		"loop": loop,
	} {
		t.Run(name, func(t *testing.T) { compare(t, v) })
	}
}

// compare holds Marshal against encoding/json.
func compare(t *testing.T, v any) {
	t.Helper()
	want, wantErr := json.Marshal(v)
	got, err := jsononce.Marshal(v)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if err == nil && string(got) != string(want) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

type record struct {
	Created time.Time `json:"created"`
	ID      string    `json:"id"`
	Spec    struct {
		Labels  map[string]string `json:"labels"`
		Secrets []inner           `json:"secrets"`
	} `json:"spec"`
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, data := range []string{
		"", "{", "[]", `"text"`, "1", `{"created": 1}`, `{"spec": []}`, `{"spec": {"labels": {"a": 1}}}`, `{"spec": {"secrets": {}}}`,
		`{"spec": {"secrets": [1]}}`, `{} x`,
	} {
		var c record
		if err := jsononce.Unmarshal([]byte(data), &c); err == nil {
			t.Errorf("%s: no error, want %v", data, json.Unmarshal([]byte(data), &c))
		}
	}
	if jsononce.Unmarshal([]byte("{}"), record{}) == nil || jsononce.Unmarshal([]byte("{}"), nil) == nil {
		t.Error("decoded into nothing")
	}
	var c record
	if err := jsononce.Unmarshal([]byte(`{"unknown": 1, "id": null, "spec": {"labels": null}}`), &c); err != nil || c.ID != "" {
		t.Errorf("got %+v, %v", c, err)
	}
}

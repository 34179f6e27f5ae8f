package strictjson

import (
	"strings"
	"testing"
)

func TestUnambiguous(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for name, test := range map[string]struct {
		raw, want string
	}{
		"plain":         {`{"a":1,"b":[{"a":2},{"a":3}],"c":null}`, ""},
		"twice":         {`{"a":1,"a":2}`, "duplicate key"},
		"twice below":   {`{"a":[{"b":1,"b":2}]}`, "duplicate key"},
		"other case":    {`{"config":1,"Config":2}`, "duplicate key"},
		"escaped":       {`{"config":1,"\u0063onfig":2}`, "duplicate key"},
		"label":         {`{"config":{"Labels":{"A":1,"a":2},"Volumes":{"/A":{},"/a":{}}}}`, ""},
		"label twice":   {`{"config":{"Labels":{"A":1,"A":2}}}`, "duplicate key"},
		"in a label":    {`{"labels":{"labels":{"A":1,"a":2}}}`, "duplicate key"},
		"below":         {`{"config":{"Env":[],"env":[]}}`, "duplicate key"},
		"in a list":     {`{"layers":[{"digest":"a"},{"digest":"a","Digest":"b"}]}`, "duplicate key"},
		"after a list":  {`{"a":[1,[2],{"x":[]}],"b":{},"a":2}`, "duplicate key"},
		"empty keys":    {`{"":1,"":2}`, "duplicate key"},
		"wrong end":     {`{"a":1]`, "not JSON"},
		"two values":    {`{} {}`, "follows"},
		"cut":           {`{"a":`, "not JSON"},
		"no JSON":       {`manifest`, "not JSON"},
		"empty":         {``, "not JSON"},
		"nested deeply": {deep, "nested"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Unambiguous([]byte(test.raw))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzUnambiguous(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":2}],"a":{}}`))
	f.Fuzz(func(_ *testing.T, raw []byte) { _ = Unambiguous(raw) })
}

package image

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

func TestUnambiguous(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"plain", `{"a":1,"b":{"a":2,"c":[{"a":1},{"a":2}]},"d":null}`, ""},
		{"labels differ in case", `{"config":{"Labels":{"A":"1","a":"2"}}}`, ""},
		{"twice below", `{"config":{"Env":[],"Cmd":null,"Env":[]}}`, `duplicate key "Env"`},
		{"null", `null`, "not a JSON object"},
		{"list", `[]`, "not a JSON object"},
		{"nothing", ``, "not a JSON object"},
		{"cut", `{"a":`, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := unambiguous("manifest", []byte(c.text))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestAgrees(t *testing.T) {
	config := []byte(`{"rootfs":{"diff_ids":["sha256:a","sha256:b"]}}`)
	sum := digest.FromBytes(config)
	for _, c := range []struct {
		name string
		doc  described
		ok   bool
	}{
		{"as it is", described{&part{sum, int64(len(config))}, make([]part, 2)}, true},
		{"size", described{&part{sum, 5}, make([]part, 2)}, false},
		{"negative", described{&part{sum, -1}, make([]part, 2)}, false},
		{"fewer layers", described{&part{sum, int64(len(config))}, make([]part, 1)}, false},
		{"another configuration", described{&part{"sha256:x", 5}, make([]part, 2)}, true},
	} {
		if err := c.doc.agrees(config); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

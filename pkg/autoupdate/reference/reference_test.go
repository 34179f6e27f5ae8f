package reference

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct{ image, problem string }{
		{"quay.io/a/b:1", ""},
		{"docker://quay.io/a/b", ""},
		{"localhost:5000/a", ""},
		{"quay.io/a/b@sha256:" + strings.Repeat("a", 64), ""},
		{"alpine", "short name: auto updates require fully-qualified image reference: \"alpine\""},
		{"library/alpine:3", "short name"},
		{strings.Repeat("a", 64), "short name"},
		{"oci-archive:/tmp/a.tar", "image is of transport \"oci-archive\""},
		{"containers-storage:[overlay@/a+/b]quay.io/a", "image is of transport \"containers-storage\""},
	} {
		err := Check(tt.image)
		if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: %v, want %q", tt.image, err, tt.problem)
		}
	}
}

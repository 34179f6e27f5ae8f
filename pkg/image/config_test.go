package image

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rootless-pod/pod/pkg/image/basic"
)

func TestSplitName(t *testing.T) {
	for in, want := range map[string][2]string{
		"":                          {"<none>", "<none>"},
		"docker.io/library/a:1":     {"docker.io/library/a", "1"},
		"host:5000/a":               {"host:5000/a", "latest"},
		"host:5000/a:2":             {"host:5000/a", "2"},
		"quay.io/a@sha256:" + "0":   {"quay.io/a", "<none>"},
		"quay.io/a:3@sha256:" + "0": {"quay.io/a", "3"},
	} {
		if repo, tag := SplitName(in); repo != want[0] || tag != want[1] {
			t.Errorf("SplitName(%q) = %q, %q", in, repo, tag)
		}
	}
}

func TestExplain(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"chain": {
			`initializing source docker://x/y:latest: reading manifest latest in x/y: quota exceeded`,
			`n: quota exceeded`,
		},
		"lines":     {"a\n * b\n", "n: a * b"},
		"rate":      {"toomanyrequests: You have reached your pull rate limit", "n: toomanyrequests: You have reached your pull rate limit"},
		"full disk": {"writing blob: x: no space left on device", "n: no space left on device, in the store or in TMPDIR: see `pod system df --why`, and free some with `pod system prune`"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := explain("n", errors.New(test.in)).Error(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	inner := &Error{Name: "x", Reason: "y", Kind: basic.InUse}
	if err := explain("n", fmt.Errorf("more: %w", inner)); !errors.Is(err, ErrInUse) {
		t.Errorf("an explained error is explained again: %v", err)
	}
}

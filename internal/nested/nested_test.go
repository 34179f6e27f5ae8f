package nested

import (
	"strings"
	"testing"
)

func TestRemedy(t *testing.T) {
	for refusal, want := range map[string]string{
		"sethostname: Operation not permitted":            "seccomp=unconfined",
		"mount `proc` to `proc`: Operation not permitted": "unmask=ALL",
		"unshare: operation not permitted":                "seccomp=unconfined",
		"bpf: Permission denied":                          "--privileged",
		"no such file":                                    "",
	} {
		got := remedy(refusal)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", refusal, got, want)
		}
	}
}

func TestContained(t *testing.T) {
	t.Setenv("container", "pod")
	if !Contained() {
		t.Error("not contained, with $container")
	}
}

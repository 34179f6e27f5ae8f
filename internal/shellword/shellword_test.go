package shellword

import (
	"os/exec"
	"testing"
)

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "''", "/a/b-c": "/a/b-c", "it's": `'it'\''s'`, "$(x)": "'$(x)'", "a b": "'a b'", "a\nb": "'a\nb'"} {
		got := Quote(in)
		if got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
		out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", "printf %s "+got).Output()
		if err != nil || string(out) != in {
			t.Errorf("the shell reads %s as %q, %v", got, out, err)
		}
	}
}

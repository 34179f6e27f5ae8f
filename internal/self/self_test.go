package self

import (
	"os"
	"testing"
)

func TestWhole(t *testing.T) {
	t.Parallel()
	for own, want := range map[string]string{
		"/usr/local/libexec/pod/quick-0123456789abcdef": "/usr/local/bin/pod",
		"/home/u/.local/libexec/pod/quick-0":            "/home/u/.local/bin/pod",
		"/libexec/pod/quick-0":                          "/bin/pod",
		"/usr/bin/pod":                                  "",
		"/src/bin/libexec/quick-0":                      "", // not installed
		"/usr/libexec/pod/helper-1":                     "",
		"/usr/libexec/pod/quick":                        "",
		"/usr/libexec/pod/quick-0/x":                    "",
		"/usr/xlibexec/pod/quick-0":                     "",
		"quick-0":                                       "",
	} {
		if got, ok := Whole(own); got != want || ok != (want != "") {
			t.Errorf("Whole(%q) = %q, %v, want %q", own, got, ok, want)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	want, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Path(); err != nil || got != want {
		t.Errorf("Path() = %q, %v, want %q", got, err, want)
	}
}

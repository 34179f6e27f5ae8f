package libpod

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// What is killed in recovery is found by its command line: it must be a conmon,
// and its bundle must be in our own run directory.
func TestBundleOwner(t *testing.T) {
	line := func(args ...string) []string { return args }
	for name, test := range map[string]struct {
		line []string
		want string
	}{
		"container":        {line("/usr/bin/conmon", "--api-version", "1", "-c", "abc", "-b", "/run/c/abc", "-p", "x"), "abc"},
		"exec session":     {line("/usr/bin/conmon", "--api-version", "1", "-c", "abc", "-b", "/run/c/abc/x/def"), "abc"},
		"other run dir":    {line("/usr/bin/conmon", "--api-version", "1", "-b", "/run2/c/abc"), ""},
		"longer run dir":   {line("/usr/bin/conmon", "--api-version", "1", "-b", "/run/c2/abc"), ""},
		"no conmon":        {line("vi", "-b", "/run/c/abc"), ""},
		"flag without dir": {line("/usr/bin/conmon", "--api-version", "1", "-b"), ""},
		"kernel thread":    {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := bundleOwner(test.line, "/run/c"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A monitor's grandchildren are ended too, though its children die with it.
func TestEndMonitor(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sh -c 'sleep 1000 & echo $!; wait'; :")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	last, err := process.Of(pid)
	if err != nil {
		t.Fatal(err)
	}
	first, err := process.Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }() // killed, as asked
	endMonitor(t.Context(), monitor{ID: first})
	if last.Alive() {
		t.Error("the grandchild lives")
	}
}

// What is known is compared with what is found, so an empty id must not be among it:
// most volumes have no files in the store.
func TestKnownIDs(t *testing.T) {
	c := record(1, "c", nil)
	e := viewEngine(t, c)
	for _, v := range []*state.Volume{{Name: "plain"}, {Name: "over", StorageID: "abc"}} {
		if err := e.state.AddVolume(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	known, err := e.knownIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(known) != 2 || !known[c.ID] || !known["abc"] {
		t.Errorf("known are %v", known)
	}
}

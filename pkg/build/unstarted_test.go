package build

import (
	"os"
	"strings"
	"testing"
)

func TestIsUnstarted(t *testing.T) {
	for line, want := range map[string]bool{
		"/usr/bin/crun create --bundle /var/tmp/buildah123 --pid-file /var/tmp/buildah123/pid id": true,
		"/usr/bin/crun --systemd-cgroup create --bundle /var/tmp/buildah123 id":                   true,
		"/usr/bin/crun create --bundle /run/user/1000/pod/c/1234 id":                              false,
		"/usr/bin/crun start id":                   false,
		"create --bundle /var/tmp/buildah1":        false,
		"/usr/bin/crun create --bundle":            false,
		"sh -c crun create --bundle /tmp/buildah1": true,
	} {
		if got := isUnstarted(strings.Fields(line)); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestLookedAfter(t *testing.T) {
	if lookedAfter(os.Getpid()) {
		t.Error("nobody starts the test")
	}
}

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

func TestRootLayer(t *testing.T) {
	const (
		host    = "26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
		overlay = "90 80 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/s/overlay/l/A,upperdir=/s/overlay/abc/diff,workdir=/s/overlay/abc/work,userxattr\n"
		other   = "91 90 0:51 / /mnt rw - overlay overlay rw,lowerdir=/x,upperdir=/s/overlay/def/diff,workdir=/s/overlay/def/work\n"
	)
	for name, tt := range map[string]struct{ mounts, want string }{
		"the host":        {host + other, ""},
		"a container":     {overlay + other, "abc"},
		"mounted over":    {overlay + host, ""},
		"nothing":         {"", ""},
		"not a mountinfo": {"a b\n", ""},
	} {
		if got := rootLayer(strings.NewReader(tt.mounts)); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

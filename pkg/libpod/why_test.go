package libpod

import (
	"testing"

	"github.com/rootless-pod/pod/pkg/rootless"
)

func TestMoreThanAContainers(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/": true, "/home": true, "/home/ann": true, "/home/ann/": true, "/etc": true, "/etc/ssl": true, "/usr/share/x": true, "/srv": true,
		"/home/ann/data": false, "/home/anna": false, "/srv/data": false, "/var/lib/x": false,
	} {
		if got := moreThanAContainers(path, "/home/ann"); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestHostID(t *testing.T) {
	t.Parallel()
	maps := []rootless.Mapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100000, Size: 65536}}
	for id, want := range map[uint32]int{0: 1000, 1: 100000, 1000: 100999, 65536: 165535, 65537: -1} {
		if got := hostID(maps, id); got != want {
			t.Errorf("hostID(%d) = %d, want %d", id, got, want)
		}
	}
}

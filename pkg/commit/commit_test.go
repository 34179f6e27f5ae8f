package commit

import (
	"maps"
	"slices"
	"testing"

	"go.podman.io/image/v5/manifest"

	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestContainerConfig(t *testing.T) {
	t.Parallel()
	c := &state.Container{Unit: "web.service"}
	c.Spec.Process.Env = []string{"A=b"}
	c.Spec.Process.Command = []string{"serve"}
	c.Spec.Process.User = "7"
	c.Spec.Labels = map[string]string{policy.UnitName: "web.service", "app": "x"}
	c.Spec.Network.Expose = []string{"53/udp", "80"}
	c.Spec.Network.Ports = []specgen.PortMapping{{ContainerPort: 8080, Range: 2, Protocol: "tcp"}}
	c.Spec.Storage.Mounts = []specgen.Mount{{Type: "volume", Destination: "/data"}, {Type: "tmpfs", Destination: "/tmp"}}
	for _, volumes := range []bool{false, true} {
		got := image.Config{
			Hostname: "old", Env: []string{"OLD=1"}, Entrypoint: []string{"old"},
			ExposedPorts: manifest.Schema2PortSet{"22/tcp": {}}, Volumes: map[string]struct{}{"/old": {}},
		}
		containerConfig(&got, c, volumes)
		if got.Hostname != "" || got.User != "7" || got.Entrypoint != nil || !slices.Equal(got.Cmd, []string{"serve"}) || !slices.Equal(got.Env, []string{"A=b"}) {
			t.Errorf("the process is not the container's: %+v", got)
		}
		if !maps.Equal(got.Labels, map[string]string{"app": "x"}) || len(c.Spec.Labels) != 2 {
			t.Errorf("labels %v, the container's %v", got.Labels, c.Spec.Labels)
		}
		ports := slices.Sorted(maps.Keys(got.ExposedPorts))
		if want := []manifest.Schema2Port{"22/tcp", "53/udp", "80/tcp", "8080/tcp", "8081/tcp"}; !slices.Equal(ports, want) {
			t.Errorf("ports %v, want %v", ports, want)
		}
		want := []string{"/old"}
		if volumes {
			want = []string{"/data", "/old"}
		}
		if got := slices.Sorted(maps.Keys(got.Volumes)); !slices.Equal(got, want) {
			t.Errorf("volumes %v with volumes %v, want %v", got, volumes, want)
		}
	}
}

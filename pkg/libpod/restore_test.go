package libpod

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/specgen"
)

// TestRestoredSpec: of what an archive says, only what the processes are is taken.
func TestRestoredSpec(t *testing.T) {
	old := specgen.Container{
		Name: "old", Image: "image", Runtime: "/tmp/evil", Annotations: map[string]string{"run.oci.handler": "x"}, PIDFile: "/etc/passwd",
		CIDFile: "/etc/passwd", Restart: "always", Remove: true,
		Process:   specgen.Process{Command: []string{"sh"}, User: "7", InitPath: "/tmp/evil"},
		Security:  specgen.Security{Privileged: true, CapAdd: []string{"ALL"}, Seccomp: "unconfined", Devices: []string{"/dev/sda"}, Unmask: []string{"ALL"}},
		Spaces:    specgen.Spaces{PID: "host", IPC: "host"},
		Resources: specgen.Resources{Memory: 1, CgroupParent: "/"},
		Network:   specgen.Network{Mode: "host", Ports: []specgen.PortMapping{{HostPort: 22}}, Hostname: "h"},
		Storage: specgen.Storage{Mounts: []specgen.Mount{
			{Type: "tmpfs", Destination: "/t", Options: []string{"suid", "size=1m"}},
			{Type: "volume", Source: "data", Destination: "/data", SubPath: "../..", Options: []string{"U"}},
		}},
		Log: specgen.Log{Path: "/etc/passwd"},
	}
	got, err := restoredSpec(&checkpointed{Name: "old", Image: "image", Spec: old}, RestoreOptions{Name: "new"})
	if err != nil {
		t.Fatal(err)
	}
	want := &specgen.Container{
		Name: "new", Image: "image", Process: specgen.Process{Command: []string{"sh"}, User: "7"},
		Network: specgen.Network{Hostname: "h"},
		Storage: specgen.Storage{ImageVolume: "ignore", Mounts: []specgen.Mount{
			{Type: "tmpfs", Destination: "/t", Options: []string{"size=1m"}},
			{Type: "volume", Source: "data", Destination: "/data", Options: []string{}},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	old.Storage.Mounts = []specgen.Mount{{Type: "bind", Source: "/etc", Destination: "/host"}}
	if _, err := restoredSpec(&checkpointed{Spec: old}, RestoreOptions{}); err == nil || !strings.Contains(err.Error(), "of the host") {
		t.Errorf("a host path of an archive: %v", err)
	}
}

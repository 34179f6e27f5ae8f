package libpod

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestJoinTarget(t *testing.T) {
	t.Parallel()
	join := "container:" + strings.Repeat("a", 64)
	tests := map[string]struct {
		spaces  specgen.Spaces
		network string
		want    specgen.Spaces
		net     string
	}{
		"private": {want: specgen.Spaces{PID: join, IPC: join, UTS: join}, net: join},
		"host": {
			spaces: specgen.Spaces{PID: "host", IPC: "host", UTS: "host", User: "host"}, network: "host",
			want: specgen.Spaces{PID: "host", IPC: "host", UTS: "host"}, net: "host",
		},
		"keep-id": {spaces: specgen.Spaces{User: "keep-id"}, want: specgen.Spaces{PID: join, IPC: join, UTS: join, User: join}, net: join},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := &state.Container{ID: strings.Repeat("a", 64)}
			target.Spec.Spaces, target.Spec.Network.Mode = test.spaces, test.network
			var spec specgen.Container
			joinTarget(target, &spec)
			if !reflect.DeepEqual(spec.Spaces, test.want) || spec.Network.Mode != test.net || spec.Debugs != target.ID {
				t.Errorf("got %+v, network %s", spec.Spaces, spec.Network.Mode)
			}
			if err := spec.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestInnerPID(t *testing.T) {
	t.Parallel()
	if _, err := innerPID(os.Getpid()); err != nil {
		t.Error(err)
	}
	if pid, err := innerPID(1 << 30); err == nil {
		t.Errorf("got %s for a pid that cannot be", pid)
	}
}

func TestIsWasm(t *testing.T) {
	t.Parallel()
	for platform, want := range map[string]bool{
		"wasi/wasm": true, "wasip1/wasm": true, "wasi/wasm32": true, "linux/amd64": false, "/": false, "linux/wasm": false,
	} {
		if got := isWasm(platform); got != want {
			t.Errorf("isWasm(%q) = %v", platform, got)
		}
	}
}

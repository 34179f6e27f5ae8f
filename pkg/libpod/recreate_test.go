package libpod

import (
	"reflect"
	"testing"

	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/autoupdate/reference"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestWantedUpdate(t *testing.T) {
	for name, tt := range map[string]struct {
		unit, value, image string
		want               *state.AutoUpdate
		asked, refused     bool
	}{
		"nothing said":    {image: "app"},
		"local":           {value: "local", image: "app", want: &state.AutoUpdate{Policy: "local", Authfile: "/f"}, asked: true},
		"of a unit":       {value: "local", image: "app", unit: "u.service", want: &state.AutoUpdate{Policy: "local", Authfile: "/f"}},
		"disabled":        {value: "disabled", image: "app", want: &state.AutoUpdate{Policy: "disabled", Authfile: "/f"}},
		"nonsense":        {value: "yes", image: "app", want: &state.AutoUpdate{Policy: "yes", Authfile: "/f"}},
		"short name":      {value: "registry", image: "app", refused: true},
		"whole name":      {value: "registry", image: "quay.io/app", want: &state.AutoUpdate{Policy: "registry", Authfile: "/f"}, asked: true},
		"of a unit again": {value: "image", image: "app", unit: "u.service", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Engine{Options: Options{Unit: tt.unit, CheckUpdates: reference.Check}}
			spec := &specgen.Container{Image: tt.image, Labels: map[string]string{policy.AuthfileLabel: "/f"}}
			if tt.value != "" {
				spec.Labels[policy.Label] = tt.value
			}
			got, err := e.wantedUpdate(spec)
			if (err != nil) != tt.refused {
				t.Fatalf("error %v", err)
			}
			if got != nil {
				if (got.Asked != nil) != tt.asked {
					t.Errorf("asked: %v", got.Asked)
				}
				got.Asked = nil
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestShowUnit(t *testing.T) {
	evil := specgen.ImageConfig{Labels: map[string]string{policy.UnitName: "dbus.service"}}
	for name, tt := range map[string]struct {
		unit   string
		labels map[string]string
		img    specgen.ImageConfig
		want   string
	}{
		"none":         {},
		"unit":         {unit: "u.service", want: "u.service"},
		"image":        {labels: map[string]string{policy.UnitName: "dbus.service"}, img: evil},
		"image, unit":  {unit: "u.service", labels: map[string]string{policy.UnitName: "dbus.service"}, img: evil, want: "u.service"},
		"user":         {labels: map[string]string{policy.UnitName: "mine"}, img: evil, want: "mine"},
		"user, unit":   {unit: "u.service", labels: map[string]string{policy.UnitName: "mine"}, want: "u.service"},
		"no labels":    {unit: "u.service", img: evil, want: "u.service"},
		"other labels": {labels: map[string]string{"a": "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := &specgen.Container{Labels: tt.labels}
			(&Engine{Options: Options{Unit: tt.unit}}).showUnit(spec, tt.img)
			if got := spec.Labels[policy.UnitName]; got != tt.want {
				t.Errorf("shown: %q, want %q", got, tt.want)
			}
		})
	}
}

func TestKeepVolumes(t *testing.T) {
	old := &state.Container{AnonymousVolumes: []string{"v1", "v2"}}
	old.Spec.Storage.Mounts = []specgen.Mount{
		{Type: "volume", Source: "v1", Destination: "/image"},
		{Type: "volume", Source: "v2", Destination: "/asked"},
		{Type: "volume", Source: "named", Destination: "/named"},
	}
	spec := &specgen.Container{}
	spec.Storage.Mounts = []specgen.Mount{
		{Type: "volume", Destination: "/asked"}, {Type: "volume", Source: "named", Destination: "/named"},
	}
	keepVolumes(spec, old)
	want := []specgen.Mount{
		{Type: "volume", Source: "v2", Destination: "/asked"},
		{Type: "volume", Source: "named", Destination: "/named"},
		{Type: "volume", Source: "v1", Destination: "/image"},
	}
	if !reflect.DeepEqual(spec.Storage.Mounts, want) {
		t.Errorf("got %+v", spec.Storage.Mounts)
	}
}

func TestKeepPublished(t *testing.T) {
	had := []Published{
		{PortMapping: specgen.PortMapping{HostPort: 40001, ContainerPort: 80, Range: 1, Protocol: "tcp"}},
		{PortMapping: specgen.PortMapping{HostPort: 8443, ContainerPort: 443, Range: 1, Protocol: "tcp"}},
		{PortMapping: specgen.PortMapping{HostPort: 40003, ContainerPort: 53, Range: 1, Protocol: "udp"}},
		{PortMapping: specgen.PortMapping{HostPort: 40004, ContainerPort: 99, Range: 1, Protocol: "tcp"}},
	}
	n := specgen.Network{PublishAll: true, Ports: []specgen.PortMapping{
		{ContainerPort: 80, Range: 1, Protocol: "tcp"}, {HostPort: 8443, ContainerPort: 443, Range: 1, Protocol: "tcp"},
	}}
	keepPublished(&n, had, []string{"53/udp", "80", "443/tcp"})
	want := []specgen.PortMapping{
		{HostPort: 40001, ContainerPort: 80, Range: 1, Protocol: "tcp", Random: true},
		{HostPort: 8443, ContainerPort: 443, Range: 1, Protocol: "tcp"},
		{HostPort: 40003, ContainerPort: 53, Range: 1, Protocol: "udp", Random: true}, // 99 is not exposed any more
	}
	if !reflect.DeepEqual(n.Ports, want) {
		t.Errorf("got %+v", n.Ports)
	}
}

func TestUpdateAsked(t *testing.T) {
	asked := &specgen.Container{Image: "app", Process: specgen.Process{Env: []string{"A=1"}}}
	c := &state.Container{AutoUpdate: &state.AutoUpdate{Policy: "local", Asked: asked}}
	changed := &specgen.Container{Health: specgen.Health{Test: []string{"CMD", "check"}}}
	u := &specgen.Update{Restart: "always", Env: []string{"B=2"}, Health: &specgen.Health{Retries: 7}}
	if err := updateAsked(c, u, changed); err != nil {
		t.Fatal(err)
	}
	got := c.AutoUpdate.Asked
	if got.Restart != "always" || !reflect.DeepEqual(got.Process.Env, []string{"A=1", "B=2"}) || !reflect.DeepEqual(got.Health, changed.Health) {
		t.Errorf("got %+v", got)
	}
	if asked.Restart != "" {
		t.Error("what others may hold was changed")
	}
	if u.Health == nil {
		t.Error("the change itself was changed")
	}
	if err := updateAsked(&state.Container{}, u, changed); err != nil {
		t.Errorf("of a container that nobody wants updated: %v", err)
	}
}

package autoupdate

import (
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/autoupdate/policy"
	"github.com/rootless-pod/pod/pkg/image"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
)

func TestTask(t *testing.T) {
	for name, tt := range map[string]struct {
		c           state.Container
		image, unit string
		none        bool
		err         string
	}{
		"registry":  {c: wants("registry", "docker://quay.io/a/b"), image: "quay.io/a/b"},
		"local":     {c: wants("local", "b"), image: "localhost/b:latest"},
		"disabled":  {c: wants("disabled", "b"), none: true},
		"nonsense":  {c: wants("yes", "b"), err: "auto-updating container c: invalid auto-update policy"},
		"of a unit": {c: in(wants("local", "b"), "u.service", "u.service"), image: "localhost/b:latest", unit: "u.service"},
		// Whoever starts it is not whoever makes it: that label a user can set too.
		"started by a unit": {c: in(wants("local", "b"), "", "u.service"), err: "unit u.service starts the container, but did not make it"},
		"without an image":  {c: state.Container{Name: "c", AutoUpdate: &state.AutoUpdate{Policy: "local"}}, err: "not made of an image"},
	} {
		t.Run(name, func(t *testing.T) {
			u := &Updater{Engine: &libpod.Engine{}}
			got, err := u.task(t.Context(), &tt.c)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if (got == nil) != (tt.none || tt.err != "") {
				t.Fatalf("task %+v", got)
			}
			if got != nil && (got.image != tt.image || got.unit != tt.unit) {
				t.Errorf("image %q of unit %q, want %q of %q", got.image, got.unit, tt.image, tt.unit)
			}
		})
	}
}

func wants(value, name string) state.Container {
	c := state.Container{Name: "c", ImageName: "localhost/b:latest", Run: &state.Run{}, AutoUpdate: &state.AutoUpdate{Policy: value}}
	c.Spec.Image = name
	c.Spec.Labels = map[string]string{policy.UnitName: "dbus.service"}
	return c
}

func in(c state.Container, made, started string) state.Container {
	c.Unit, c.Run.Unit = made, started
	return c
}

func TestAccess(t *testing.T) {
	u := &Updater{Pull: image.PullOptions{Access: image.Access{Authfile: "/all"}}}
	c := wants("registry", "quay.io/a")
	plain := &task{Container: &c, image: "quay.io/a"}
	if got := u.access(plain).Authfile; got != "/all" {
		t.Errorf("without a label: %q", got)
	}
	own := wants("registry", "quay.io/a")
	own.AutoUpdate.Authfile = "/own"
	mine := &task{Container: &own, image: "quay.io/a"}
	if got := u.access(mine).Authfile; got != "/own" {
		t.Errorf("with a label: %q", got)
	}
	if u.key(plain) == u.key(mine) {
		t.Error("two logins share a look")
	}
}

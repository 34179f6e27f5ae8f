package libpod

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.podman.io/common/pkg/config"

	"github.com/rootless-pod/pod/internal/process"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/rootless"
	"github.com/rootless-pod/pod/pkg/specgen"
)

// viewEngine is an engine with records and nothing else.
func viewEngine(t *testing.T, records ...*state.Container) *Engine {
	t.Helper()
	dir := t.TempDir()
	e, err := Open(t.Context(), Options{
		Session: &rootless.Session{}, Config: &config.Config{}, GraphRoot: dir + "/root", RunRoot: dir + "/run",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range records {
		if err := e.state.Add(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) //nolint:gochecknoglobals // a constant

// record is a container that was created n minutes after epoch.
func record(n int, name string, change func(c *state.Container)) *state.Container {
	c := &state.Container{ID: fmt.Sprintf("%02x%060d%02x", n, 0, n), Name: name, Created: epoch.Add(time.Duration(n) * time.Minute)}
	c.Spec.Process.Command = []string{"sleep", "inf"}
	if change != nil {
		change(c)
	}
	return c
}

func ran(code int) func(c *state.Container) {
	return func(c *state.Container) {
		c.Last = &state.Exit{StartedAt: epoch, FinishedAt: epoch.Add(time.Hour), Code: code}
	}
}

// runs is a container whose first process is this test.
func runs(phase state.Phase) func(c *state.Container) {
	return func(c *state.Container) {
		c.Run = &state.Run{Phase: phase, Init: process.Self(), StartedAt: time.Now().Add(-3 * time.Second)}
	}
}

func TestStatusText(t *testing.T) {
	now := epoch.Add(time.Hour)
	dead := process.ID{PID: 1 << 30, Start: 1}
	tests := []struct {
		name string
		c    state.Container
		want string
	}{
		{"created", state.Container{}, "Created"},
		{"up", state.Container{Run: &state.Run{Phase: state.PhaseRunning, Init: process.Self(), StartedAt: now.Add(-3 * time.Second)}}, "Up 3 seconds"},
		{"up again", state.Container{Run: &state.Run{Phase: state.PhaseRunning, Init: process.Self(), StartedAt: now.Add(-90 * time.Second)}, Last: &state.Exit{Code: 3}}, "Up About a minute"},
		{"paused", state.Container{Run: &state.Run{Phase: state.PhasePaused, Init: process.Self(), StartedAt: now}}, "Paused"},
		{"stopping", state.Container{Run: &state.Run{Phase: state.PhaseRunning, Init: process.Self(), Stopping: true, StartedAt: now}}, "Stopping"},
		{"initialized", state.Container{Run: &state.Run{Phase: state.PhaseInit, Init: process.Self()}}, "Initialized"},
		{"initialized after a run", state.Container{Run: &state.Run{Phase: state.PhaseInit, Init: process.Self()}, Last: &state.Exit{Code: 3}}, "Initialized"},
		{"killed start", state.Container{Run: &state.Run{Phase: state.PhaseInit, Init: dead}}, "Created"},
		{"exited", state.Container{Last: &state.Exit{Code: 3, FinishedAt: now.Add(-2 * time.Minute)}}, "Exited (3) 2 minutes ago"},
		{"exited, code unknown", state.Container{Last: &state.Exit{Code: -1, Unknown: true, FinishedAt: now.Add(-2 * time.Minute)}}, "Exited (unknown) 2 minutes ago"},
		{"dead, nobody looked yet", state.Container{Run: &state.Run{Phase: state.PhaseRunning, Init: dead, StartedAt: now}}, "Exited (unknown)"},
		{"removing", state.Container{Run: &state.Run{Phase: state.PhaseRemoving}}, "Removing"},
		{"creating", state.Container{Run: &state.Run{Phase: state.PhaseCreating}}, "Creating"},
		{"a clock that went back", state.Container{Last: &state.Exit{FinishedAt: now.Add(time.Hour)}}, "Exited (0) Less than a second ago"},
	}
	e := viewEngine(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.ID = strings.Repeat("a", 64)
			l := e.listEntry(&tt.c, e.status(&tt.c), now)
			if l.Status != tt.want {
				t.Fatalf("status %q, want %q", l.Status, tt.want)
			}
			if live := l.Pid != 0; live != isLive(l.State) {
				t.Fatalf("state %s with pid %d", l.State, l.Pid)
			}
		})
	}
}

func names(list []*state.Container) string {
	all := make([]string, 0, len(list))
	for _, c := range list {
		all = append(all, c.Name)
	}
	return strings.Join(all, " ")
}

func TestFilters(t *testing.T) {
	e := viewEngine(
		t,
		record(1, "old", func(c *state.Container) {
			ran(3)(c)
			c.Spec.Labels = map[string]string{"app": "web", "tier": "1"}
			c.ImageID, c.ImageName = "abcdef0123", "docker.io/library/nginx:1.27"
		}),
		record(2, "mid", func(c *state.Container) {
			runs(state.PhaseRunning)(c)
			c.Spec.Labels = map[string]string{"app": "web"}
			c.Spec.Network.Mode = "pasta:--mtu,1500"
			c.Spec.Restart = "always"
			c.Spec.Storage.Mounts = []specgen.Mount{{Type: "volume", Source: "data", Destination: "/data"}}
		}),
		record(3, "new", func(c *state.Container) {
			c.Spec.Network.Mode = "none"
			c.Spec.Annotations = map[string]string{"k": "v"}
		}),
		record(4, "paused", runs(state.PhasePaused)),
	)
	tests := []struct{ filters, want string }{
		{"", "old mid new paused"},
		{"name=^m", "mid"},
		{"name=old name=new", "old new"},
		{"id=02", "mid"},
		{"label=app", "old mid"},
		{"label=app=web label=tier", "old"},
		{"label!=app", "new paused"},
		{"annotation=k=v", "new"},
		{"status=running", "mid"},
		{"status=paused status=created", "new paused"},
		{"status=stopped", "old"},
		{"status=configured", "new"},
		{"status=dead", ""},
		{"exited=3", "old"},
		{"exited=0", ""},
		{"ancestor=nginx", "old"},
		{"ancestor=nginx:1.27", "old"},
		{"ancestor=nginx:1.26", ""},
		{"ancestor=docker.io/library/nginx", "old"},
		{"ancestor=abcdef", "old"},
		{"ancestor=inx", ""},
		{"before=mid", "old"},
		{"since=mid", "new paused"},
		{"volume=data", "mid"},
		{"volume=data:/data", "mid"},
		{"volume=data:/other", ""},
		{"network=none", "new"},
		{"network=pasta", "old mid paused"},
		{"restart-policy=always", "mid"},
		{"restart-policy=no", "old new paused"},
		{"should-start-on-boot=true", "mid"},
		{"command=sleep", "old mid new paused"},
		{"until=2026-01-02T03:06:00Z", "old"},
		{"label=app=web status=exited", "old"},
	}
	for _, tt := range tests {
		t.Run(tt.filters, func(t *testing.T) {
			list, err := e.List(t.Context(), strings.Fields(tt.filters))
			if err != nil || names(list) != tt.want {
				t.Fatalf("%q, %v, want %q", names(list), err, tt.want)
			}
		})
	}
	for _, bad := range []string{"name", "colour=red", "status=nice", "exited=x", "name=(", "before=nobody", "should-start-on-boot=maybe"} {
		if _, err := e.List(t.Context(), []string{bad}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("filter %q: %v", bad, err)
		}
	}
}

func TestPs(t *testing.T) {
	e := viewEngine(
		t,
		record(1, "b", ran(0)),
		record(2, "a", runs(state.PhaseRunning)),
		record(3, "c", nil),
	)
	tests := []struct {
		name string
		o    PsOptions
		want string
	}{
		{"running only", PsOptions{}, "a"},
		{"all", PsOptions{All: true}, "b a c"},
		{"last", PsOptions{Last: 2}, "a c"},
		{"last is more than there are", PsOptions{Last: 9}, "b a c"},
		{"a status asks for all", PsOptions{Filters: []string{"status=exited"}}, "b"},
		{"another filter does not", PsOptions{Filters: []string{"name=."}}, "a"},
		{"by name", PsOptions{All: true, Sort: "names"}, "a b c"},
		{"by status", PsOptions{All: true, Sort: "status"}, "c b a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			list, err := e.Ps(t.Context(), tt.o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range list {
				got = append(got, l.Names[0])
			}
			if strings.Join(got, " ") != tt.want {
				t.Fatalf("%q, want %q", got, tt.want)
			}
		})
	}
	if _, err := e.Ps(t.Context(), PsOptions{Sort: "colour"}); err == nil {
		t.Error("sorted by colour")
	}
}

func TestPsNamespaces(t *testing.T) {
	e := viewEngine(t, record(1, "a", runs(state.PhaseRunning)))
	list, err := e.Ps(t.Context(), PsOptions{Namespaces: true})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if n := list[0].Namespaces; n.MNT == "" || n.PIDNS == "" || strings.Trim(n.MNT, "0123456789") != "" {
		t.Fatalf("%+v", n)
	}
}

func TestPorts(t *testing.T) {
	port := func(host, inside, n uint16) specgen.PortMapping {
		return specgen.PortMapping{HostPort: host, ContainerPort: inside, Range: n, Protocol: "tcp"}
	}
	network := json.RawMessage(`{"driver":"pasta","netns":"/n","ports":[{"host_ip":"","host_port":41000,"container_port":80,"range":2,"protocol":"tcp"}]}`)
	owner := record(1, "owner", func(c *state.Container) {
		runs(state.PhaseRunning)(c)
		c.Spec.Network.Ports = []specgen.PortMapping{port(0, 80, 2)}
		c.Run.Network = network
	})
	guest := record(2, "guest", func(c *state.Container) {
		runs(state.PhaseRunning)(c)
		c.Spec.Network.Mode = "container:owner"
	})
	ring := record(3, "ring", func(c *state.Container) {
		runs(state.PhaseRunning)(c)
		c.Spec.Network.Mode = "container:ring"
	})
	rested := record(4, "rested", func(c *state.Container) { c.Spec.Network.Ports = []specgen.PortMapping{port(8080, 80, 1)} })
	e := viewEngine(t, owner, guest, ring, rested)
	two := []specgen.PortMapping{port(41000, 80, 1), port(41001, 81, 1)}
	for name, want := range map[string][]specgen.PortMapping{"owner": two, "guest": two, "ring": nil, "rested": nil} {
		c, err := e.Lookup(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		published, err := e.Ports(t.Context(), c)
		var got []specgen.PortMapping
		for _, p := range published {
			got = append(got, p.PortMapping)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	if got := publishedPorts(owner); len(got) != 1 || got[0].HostPort != 41000 {
		t.Errorf("published by a run: %v", got)
	}
	if got := publishedPorts(rested); len(got) != 1 || got[0].HostPort != 8080 {
		t.Errorf("published by a container at rest: %v", got)
	}
}

func TestExposedPorts(t *testing.T) {
	c := &state.Container{}
	if exposedPorts(c) != nil {
		t.Error("none are not null")
	}
	c.Spec.Network.Expose = []string{"80", "53/udp", "80/udp", "90-91/tcp"}
	got, err := json.Marshal(exposedPorts(c))
	if want := `{"53":["udp"],"80":["tcp","udp"],"90":["tcp"],"91":["tcp"]}`; err != nil || string(got) != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

func TestDependents(t *testing.T) {
	on := func(mode string) func(*state.Container) {
		return func(c *state.Container) { c.Spec.Spaces.PID = "container:" + mode }
	}
	base := record(1, "base", nil)
	all := []*state.Container{
		base,
		record(2, "far", on("near")),
		record(3, "near", func(c *state.Container) { c.Spec.Network.Mode = "container:" + base.ID[:12] }),
		record(4, "data", func(c *state.Container) { c.Spec.Storage.VolumesFrom = []string{"base:ro"} }),
		record(5, "other", on("elsewhere")),
		record(6, "ring1", on("ring2")),
		record(7, "ring2", on("ring1")),
	}
	e := viewEngine(t, all...)
	by := map[string]string{}
	for _, c := range all {
		by[c.ID] = c.Name
	}
	for of, want := range map[int]string{0: "far near data", 4: "", 5: "ring2"} {
		var got []string
		for _, id := range dependents(all, all[of]) {
			got = append(got, by[id])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("dependents of %s: %q, want %q", all[of].Name, got, want)
		}
	}
	ids, err := e.dependencies(context.Background(), all[2])
	if err != nil || !slices.Equal(ids, []string{base.ID}) {
		t.Errorf("dependencies: %v, %v", ids, err)
	}
	if ids, err = e.dependencies(t.Context(), all[4]); err != nil || len(ids) != 0 {
		t.Errorf("dependencies on what is gone: %v, %v", ids, err)
	}
}

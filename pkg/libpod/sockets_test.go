package libpod

import (
	"reflect"
	"testing"

	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestSocketsOf(t *testing.T) {
	for name, test := range map[string]struct {
		pid, fds, names string
		want            Sockets
	}{
		"none":      {},
		"one":       {pid: "7", fds: "1", want: Sockets{Count: 1}},
		"names":     {pid: "7", fds: "2", names: "http:https", want: Sockets{Count: 2, Names: "http:https"}},
		"another's": {pid: "8", fds: "1"},
		"zero":      {pid: "7", fds: "0"},
		"no number": {pid: "7", fds: "x"},
		"negative":  {pid: "7", fds: "-1"},
		"too many":  {pid: "7", fds: "4294967295"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"LISTEN_PID": test.pid, "LISTEN_FDS": test.fds, "LISTEN_FDNAMES": test.names}
			if got := SocketsOf(7, func(name string) string { return env[name] }); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestUnitRoles(t *testing.T) {
	e := &Engine{Options: Options{NotifySocket: "/n", Sockets: Sockets{Count: 2, Names: "a:b"}}}
	infra := &state.Container{ID: "infra", Spec: specgen.Container{IsInfra: true}}
	web, db := &state.Container{ID: "web"}, &state.Container{ID: "db"}
	e.asksFor(infra)
	e.asksFor(web)
	if !e.speaks(infra) || e.speaks(web) || e.speaks(db) {
		t.Error("systemd hears of others than the first")
	}
	if fds, err := e.inherited(web); err != nil || !reflect.DeepEqual(fds, []uint{3, 4}) {
		t.Errorf("web gets %v, %v", fds, err)
	}
	if env := e.socketEnv(web); !reflect.DeepEqual(env, []string{"LISTEN_PID=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=a:b"}) {
		t.Errorf("web is told %v", env)
	}
	for _, c := range []*state.Container{infra, db} {
		if fds, err := e.inherited(c); err != nil || len(fds) > 0 || len(e.socketEnv(c)) > 0 {
			t.Errorf("%s gets %v, %v", c.ID, fds, err)
		}
	}
	web.Spec.Process.PreserveFDs = []uint{5}
	if _, err := e.inherited(web); err == nil {
		t.Error("sockets and --preserve-fds")
	}
}

package autoupdate

import (
	"strings"
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/health"
	"github.com/rootless-pod/pod/pkg/libpod"
	"github.com/rootless-pod/pod/pkg/libpod/state"
	"github.com/rootless-pod/pod/pkg/specgen"
)

func TestJudge(t *testing.T) {
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	checked := &specgen.Health{Test: []string{"CMD", "true"}}
	plain := &specgen.Health{}
	for name, tt := range map[string]struct {
		look look
		over bool
		err  string
	}{
		"created":       {look{status: libpod.StatusCreated, health: plain}, false, ""},
		"young":         {look{status: libpod.StatusRunning, health: plain, started: start, now: start.Add(steady - 1)}, false, ""},
		"steady":        {look{status: libpod.StatusRunning, health: plain, started: start, now: start.Add(steady)}, true, ""},
		"starting":      {look{status: libpod.StatusRunning, health: checked, started: start, now: start.Add(time.Hour)}, false, ""},
		"healthy":       {look{status: libpod.StatusRunning, health: checked, known: known(health.Healthy, "")}, true, ""},
		"unhealthy":     {look{status: libpod.StatusRunning, health: checked, known: known(health.Unhealthy, "")}, true, "the container is unhealthy"},
		"says why":      {look{status: libpod.StatusRunning, health: checked, known: known(health.Unhealthy, "no\ndatabase")}, true, `the container is unhealthy: "no"`},
		"never started": {look{status: libpod.StatusExited, health: plain}, false, ""},
		"ended":         {look{status: libpod.StatusExited, health: plain, exit: &state.Exit{Code: 3}, first: start}, true, "ended with exit code 3"},
		"ended quickly": {look{status: libpod.StatusExited, health: plain, exit: &state.Exit{Code: -1, Unknown: true}}, true, "the container has ended"},
		"started again": {look{status: libpod.StatusRunning, health: plain, started: start.Add(1), first: start, now: start.Add(time.Hour)}, true, "was started again"},
		"paused":        {look{status: libpod.StatusPaused, health: plain, first: start}, true, "paused"},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(&tt.look)
			if v.over != tt.over || (v.err == nil) != (tt.err == "") || v.err != nil && !strings.Contains(v.err.Error(), tt.err) {
				t.Errorf("over %v, %v; want %v, %q", v.over, v.err, tt.over, tt.err)
			}
		})
	}
}

func known(status health.Status, output string) health.State {
	var st health.State
	st.Status = status
	st.Log = []health.Entry{{Output: output + "\n"}}
	return st
}

func TestTrial(t *testing.T) {
	every, grace, never := 10*time.Second, time.Minute, time.Duration(0)
	for name, tt := range map[string]struct {
		health specgen.Health
		want   time.Duration
	}{
		"defaults":     {specgen.Health{}, 4 * 60 * time.Second},
		"start period": {specgen.Health{Interval: &every, Timeout: time.Second, StartPeriod: &grace, Retries: 2}, time.Minute + 3*11*time.Second},
		"by hand":      {specgen.Health{Interval: &never, Timeout: time.Second, Retries: 1}, 2 * 2 * time.Second},
		"start-up check": {
			specgen.Health{Interval: &every, Timeout: time.Second, Retries: 1, Startup: &specgen.StartupCheck{Interval: &every, Timeout: 2 * time.Second, Retries: 5}},
			2*11*time.Second + 6*12*time.Second,
		},
	} {
		if got := trial(&tt.health); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

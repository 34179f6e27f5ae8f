package libpod

import (
	"testing"
	"time"

	"github.com/rootless-pod/pod/pkg/libpod/state"
)

// rested is a container whose last run lasted for so long and had this code.
func rested(policy string, ran time.Duration, code int) *state.Container {
	end := time.Unix(1e9, 0)
	c := &state.Container{Wanted: true, Last: &state.Exit{StartedAt: end.Add(-ran), FinishedAt: end, Code: code}}
	c.Spec.Restart = policy
	return c
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	want := map[int]time.Duration{
		0: 0, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond,
		9: 25600 * time.Millisecond, 10: 51200 * time.Millisecond, 11: time.Minute, 1000: time.Minute,
	}
	for quick, delay := range want {
		c := rested("always", time.Second, 1)
		c.QuickEnds = quick
		if got := backoff(c); got != delay {
			t.Errorf("after %d quick ends: %v, want %v", quick, got, delay)
		}
	}
	c := rested("always", healthyRun, 1)
	c.QuickEnds = 9
	if got := backoff(c); got != 0 {
		t.Errorf("after a run that held: %v", got)
	}
	c.Last.Error = "the start after it failed"
	if got := backoff(c); got != 25600*time.Millisecond {
		t.Errorf("after starts that failed: %v", got)
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	stopped := func(c *state.Container) *state.Container {
		c.Wanted, c.Last.Stopped = false, true
		return c
	}
	retried := func(n int, max uint) *state.Container {
		c := rested("on-failure", time.Second, 1)
		c.Restarts, c.Spec.RestartRetries = n, max
		return c
	}
	never := &state.Container{}
	never.Spec.Restart = "always"
	first := &state.Container{Wanted: true} // the machine went down during its first run
	first.Spec.Restart = "unless-stopped"
	tests := map[string]struct {
		c           *state.Container
		again, boot bool
	}{
		"none":                   {rested("", 0, 1), false, false},
		"no":                     {rested("no", 0, 1), false, false},
		"always":                 {rested("always", 0, 0), true, true},
		"always, stopped":        {stopped(rested("always", 0, 0)), false, true},
		"always, never started":  {never, false, false},
		"unless":                 {rested("unless-stopped", 0, 0), true, true},
		"unless, stopped":        {stopped(rested("unless-stopped", 0, 137)), false, false},
		"unless, first run":      {first, false, true},
		"failure":                {rested("on-failure", 0, 1), true, false},
		"success":                {rested("on-failure", 0, 0), false, false},
		"failure, stopped":       {stopped(rested("on-failure", 0, 1)), false, false},
		"failure, once more":     {retried(1, 2), true, false},
		"failure, often enough":  {retried(2, 2), false, false},
		"failure, without bound": {retried(1000, 0), true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := wantsRestart(tt.c); got != tt.again {
				t.Errorf("wantsRestart = %v", got)
			}
			if got := StartsAtBoot(tt.c); got != tt.boot {
				t.Errorf("StartsAtBoot = %v", got)
			}
		})
	}
}

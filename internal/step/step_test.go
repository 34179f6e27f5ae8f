package step

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestOffCostsNothing(t *testing.T) {
	ctx := t.Context()
	if got, r := With(ctx, "", time.Now()); got != ctx || r != nil {
		t.Fatal("With made a recorder although nothing was asked for")
	}
	want := errors.New("x")
	if err := Do(ctx, "a", func() error { return want }); !errors.Is(err, want) {
		t.Fatalf("Do returned %v", err)
	}
}

func TestTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.json")
	start := time.Now()
	ctx, r := With(t.Context(), path, start)
	_ = Do(ctx, "mount", func() error { return nil })
	if err := r.Write(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		TraceEvents []struct{ Name, Ph string }
		OtherData   struct{ Start time.Time }
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.TraceEvents) != 2 || got.TraceEvents[0].Name != "mount" || got.TraceEvents[1].Name != "pod" {
		t.Fatalf("events: %+v", got.TraceEvents)
	}
	if !got.OtherData.Start.Equal(start) {
		t.Errorf("the trace begins %v, want %v", got.OtherData.Start, start)
	}
}

func TestKill(t *testing.T) {
	if os.Getenv(KillVariable) != "" {
		ctx, _ := With(context.Background(), "", time.Now())
		_ = Do(ctx, "a", func() error { _, err := os.Stdout.WriteString("a"); return err })
		_ = Do(ctx, "b", func() error { _, err := os.Stdout.WriteString("b"); return err })
		return
	}
	for _, tc := range []struct{ at, output string }{
		{"before:a", ""}, {"after:a", "a"}, {"before:b", "a"}, {"after:b", "ab"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), KillVariable+"="+tc.at)
		out, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("%s: ended with %v, want SIGKILL", tc.at, err)
		}
		if string(out) != tc.output {
			t.Errorf("%s: output %q, want %q", tc.at, out, tc.output)
		}
	}
}

func TestStopOfAnother(t *testing.T) {
	t.Setenv(KillVariable, "stop:1:before:a")
	ctx, _ := With(t.Context(), "", time.Now())
	done := false
	if err := Do(ctx, "a", func() error { done = true; return nil }); err != nil || !done {
		t.Fatalf("the step was not taken: %v", err)
	}
}

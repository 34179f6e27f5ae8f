package view

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/rootless-pod/pod/pkg/events"
)

func TestEvent(t *testing.T) {
	zero, two := 0, 2
	for _, e := range []events.Event{
		{Type: events.Container, Status: events.Create, ID: "0123456789abcdef", Name: "container create", Image: "x"},
		{Type: events.Container, Status: events.Died, ID: "0123456789abcdef", Name: "a", ExitCode: &zero},
		{Type: events.Container, Status: events.Died, ID: "0123456789abcdef", Name: "a", ExitCode: &two},
		{Type: events.Image, Status: events.Pull, Name: "quay.io/x", Error: "no such image"},
		{Type: events.Volume, Status: events.Remove, Name: "v"},
		{Type: events.Container, Status: events.HealthStatus, Health: "unhealthy"},
	} {
		e.Time = time.Unix(1000, 5)
		for _, short := range []bool{false, true} {
			line := Event(&e, short)
			if got, want := ansi.Strip(line), e.Line(short); got != want {
				t.Errorf("without colours %q, want %q", got, want)
			}
			if line == e.Line(short) {
				t.Errorf("no colours: %q", line)
			}
			red := strings.Contains(line, "31m")
			if bad := e.Error != "" || e.Health != "" || e.ExitCode == &two; red != bad {
				t.Errorf("red is %v: %q", red, line)
			}
		}
	}
}

func TestBars(t *testing.T) {
	bars := Bars([]Bar{{Used: 50, Free: 50}, {Used: 0, Free: 50}, {}}, 10)
	want := []string{"██████████", "█████     ", "          "}
	for i := range bars {
		if got := ansi.Strip(bars[i]); got != want[i] {
			t.Errorf("bar %d is %q, want %q", i, got, want[i])
		}
	}
	if !strings.Contains(bars[0], "32m") || !strings.Contains(bars[0], "33m") || strings.Contains(bars[1], "32m") {
		t.Errorf("colours: %q", bars)
	}
	for i, bar := range Bars([]Bar{{}, {}}, 10) {
		if strings.TrimSpace(bar) != "" {
			t.Errorf("bar %d of nothing: %q", i, bar)
		}
	}
}

func TestBesideTable(t *testing.T) {
	t.Setenv("TERM", "xterm")
	var out bytes.Buffer
	if err := BesideTable(&out, "A  SIZE\nx  10\ny  5\n", []Bar{{Used: 10}, {Used: 5}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(ansi.Strip(out.String()), "\n")
	if want := "x  10    " + strings.Repeat("█", 30); lines[1] != want {
		t.Errorf("%q, want %q", lines[1], want)
	}
	out.Reset()
	wide := strings.Repeat("w", 75)
	if err := BesideTable(&out, wide+"\nx\n", []Bar{{Used: 1}}); err != nil || out.String() != wide+"\nx\n" {
		t.Errorf("a wide table: %q", out.String())
	}
}

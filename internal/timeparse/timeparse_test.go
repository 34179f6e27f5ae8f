package timeparse

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	local := func(nano int, clock ...int) time.Time {
		return time.Date(2026, 11, 21, clock[0], clock[1], clock[2], nano, time.Local)
	}
	tests := []struct {
		in    string
		until bool
		want  time.Time
	}{
		{"2026-11-21T10:20:30Z", false, time.Date(2026, 11, 21, 10, 20, 30, 0, time.UTC)},
		{"2026-11-21T10:20:30.123456789+02:00", false, time.Date(2026, 11, 21, 8, 20, 30, 123456789, time.UTC)},
		{"2026-11-21T10:20Z", false, time.Date(2026, 11, 21, 10, 20, 0, 0, time.UTC)},
		{"2026-11-21T10:20:30", false, local(0, 10, 20, 30)},
		{"2026-11-21 10:20:30.5", false, local(500_000_000, 10, 20, 30)},
		{"2026-11-21", false, local(0, 0, 0, 0)},
		{"2026-11-21 10:20:30.25 +0000 UTC", false, time.Date(2026, 11, 21, 10, 20, 30, 250_000_000, time.UTC)},
		{"1700000000", false, time.Unix(1700000000, 0)},
		{"1700000000.000000001", false, time.Unix(1700000000, 1)},
		{"10m", false, now.Add(-10 * time.Minute)},
		{"10m", true, now.Add(10 * time.Minute)},
		{"-1h30m", true, now.Add(-90 * time.Minute)},
	}
	for _, tt := range tests {
		parse := Parse
		if tt.until {
			parse = ParseUntil
		}
		got, err := parse(tt.in, now)
		if err != nil || !got.Equal(tt.want) {
			t.Errorf("Parse(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "yesterday", "10", "1.2.3", "99999999999999999999", "1.-5", "2026-13-01"} {
		if got, err := Parse(in, now); err == nil && in != "10" {
			t.Errorf("Parse(%q) = %v, want an error", in, got)
		}
	}
}

func TestSpan(t *testing.T) {
	day := 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"30d": 30 * day, "2w": 14 * day, "1w2d": 9 * day, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "0s": 0, "1.5h": 90 * time.Minute,
	} {
		if got, err := Span(in); err != nil || got != want {
			t.Errorf("Span(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "d", "30", "-3h", "-3d", "3d2w", "1.5d", "99999999d", "30 d", "x"} {
		if got, err := Span(in); err == nil {
			t.Errorf("Span(%q) = %v, want an error", in, got)
		}
	}
}

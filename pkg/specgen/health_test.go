package specgen

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseHealthCmd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in      string
		test    []string
		command []string
	}{
		{"curl -f x || exit 1", []string{"CMD-SHELL", "curl -f x || exit 1"}, []string{"/bin/sh", "-c", "curl -f x || exit 1"}},
		{"true", []string{"CMD-SHELL", "true"}, []string{"/bin/sh", "-c", "true"}},
		{`["true"]`, []string{"CMD-SHELL", "true"}, []string{"/bin/sh", "-c", "true"}},
		{`["a", "b c"]`, []string{"CMD", "a", "b c"}, []string{"a", "b c"}},
		{`["CMD","a","b c"]`, []string{"CMD", "a", "b c"}, []string{"a", "b c"}},
		{`["cmd-shell","exit 2"]`, []string{"CMD-SHELL", "exit 2"}, []string{"/bin/sh", "-c", "exit 2"}},
		{"CMD a  b", []string{"CMD", "a", "b"}, []string{"a", "b"}},
		{"CMD-SHELL exit  3", []string{"CMD-SHELL", "exit  3"}, []string{"/bin/sh", "-c", "exit  3"}},
		{"none", []string{"NONE"}, nil},
		{"NONE", []string{"NONE"}, nil},
		{`["NONE"]`, []string{"NONE"}, nil},
		{"[ -e /ok ]", []string{"CMD-SHELL", "[ -e /ok ]"}, []string{"/bin/sh", "-c", "[ -e /ok ]"}},
	}
	for _, tt := range tests {
		test, err := ParseHealthCmd(tt.in)
		if err != nil || !slices.Equal(test, tt.test) {
			t.Errorf("ParseHealthCmd(%q) = %q, %v; want %q", tt.in, test, err, tt.test)
			continue
		}
		if got := HealthCommand(test); !slices.Equal(got, tt.command) {
			t.Errorf("%q runs %q, want %q", tt.in, got, tt.command)
		}
	}
	for _, bad := range []string{"[]", "CMD", "CMD-SHELL", `["CMD"]`, `["CMD",""]`, `[""]`, ""} {
		if test, err := ParseHealthCmd(bad); err == nil {
			t.Errorf("ParseHealthCmd(%q) = %q, want an error", bad, test)
		}
	}
}

func TestParseHealthDurations(t *testing.T) {
	t.Parallel()
	if d, err := ParseHealthInterval("disable"); err != nil || *d != 0 {
		t.Errorf("disable: %v, %v", d, err)
	}
	if d, err := ParseHealthInterval("1m"); err != nil || *d != time.Minute {
		t.Errorf("1m: %v, %v", d, err)
	}
	for _, bad := range []string{"", "x", "-1s"} {
		if _, err := ParseHealthInterval(bad); err == nil {
			t.Errorf("interval %q is taken", bad)
		}
		if _, err := ParseHealthStartPeriod(bad); err == nil {
			t.Errorf("start period %q is taken", bad)
		}
	}
	for _, bad := range []string{"", "x", "-1s", "0"} {
		if _, err := ParseHealthTimeout(bad); err == nil {
			t.Errorf("timeout %q is taken", bad)
		}
	}
}

func TestImageHealth(t *testing.T) {
	t.Parallel()
	image := &ImageHealth{Test: []string{"CMD", "up"}, Interval: 5 * time.Second, Timeout: time.Second, StartPeriod: time.Minute, Retries: 7}
	second, none := time.Second, time.Duration(0)
	tests := []struct {
		name  string
		own   Health
		image *ImageHealth
		want  string // command, interval, limit, grace, tries; or the error
	}{
		{"no check", Health{}, nil, "[] 30s 30s 0s 3"},
		{"the image's", Health{}, image, "[up] 5s 1s 1m0s 7"},
		{"single values", Health{Interval: &second, StartPeriod: &none, Retries: 1}, image, "[up] 1s 1s 0s 1"},
		{"own command, own values", Health{Test: []string{"CMD", "own"}}, image, "[own] 30s 30s 0s 3"},
		{"switched off", Health{Test: []string{"NONE"}}, image, "[] 30s 30s 0s 3"},
		{"image without", Health{}, &ImageHealth{Test: []string{"NONE"}}, "[] 30s 30s 0s 3"},
		{"image inherits", Health{}, &ImageHealth{Interval: time.Hour}, "[] 30s 30s 0s 3"},
		{"defaults for the image", Health{}, &ImageHealth{Test: []string{"CMD-SHELL", "a", "b"}}, "[/bin/sh -c a b] 30s 30s 0s 3"},
		{"no keyword", Health{}, &ImageHealth{Test: []string{"curl", "x"}}, "[curl x] 30s 30s 0s 3"},
		{"without a pause", Health{}, &ImageHealth{Test: []string{"CMD", "a"}, Interval: 1}, "[a] 100ms 30s 0s 3"},
		{"negative retries", Health{}, &ImageHealth{Test: []string{"CMD", "a"}, Retries: -1}, "[a] 30s 30s 0s 3"},
		{"negative time", Health{}, &ImageHealth{Test: []string{"CMD", "a"}, Timeout: -1}, "out of bounds"},
		{"zero byte", Health{}, &ImageHealth{Test: []string{"CMD", "a\x00"}}, "zero byte"},
		{"huge", Health{}, &ImageHealth{Test: []string{"CMD", strings.Repeat("a", 1<<18)}}, "out of bounds"},
		{"action without a check", Health{OnFailure: "kill"}, nil, "cannot set on-failure action to kill without a health check"},
		{"start-up without a check", Health{Startup: &StartupCheck{Test: []string{"CMD", "x"}}}, nil, "no regular healthcheck"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := tt.own
			err := h.applyImage(tt.image)
			got := ""
			if err != nil {
				got = err.Error()
				if !strings.Contains(got, tt.want) {
					t.Errorf("%s, want %s", got, tt.want)
				}
				return
			}
			command := "[" + strings.Join(HealthCommand(h.Test), " ") + "]"
			got = strings.Join([]string{command, h.Every().String(), h.Limit().String(), h.Grace().String(), string('0' + rune(h.Tries()))}, " ")
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestHealthValidate(t *testing.T) {
	t.Parallel()
	negative := -time.Second
	for name, h := range map[string]Health{
		"action":      {OnFailure: "explode"},
		"interval":    {Interval: &negative},
		"destination": {LogDestination: "relative/dir"},
		"zero byte":   {Test: []string{"CMD", "a\x00b"}},
		"start-up":    {Startup: &StartupCheck{Test: []string{"\x00"}}},
	} {
		if h.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	good := Health{Test: []string{"CMD", "x"}, OnFailure: "restart", LogDestination: "/var/log"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestHealthChange(t *testing.T) {
	t.Parallel()
	second, hour := time.Second, time.Hour
	one := uint(1)
	base := Health{Test: []string{"CMD", "a"}, Interval: &second, Retries: 5, OnFailure: "kill", Startup: &StartupCheck{Test: []string{"CMD", "s"}, Retries: 2}}
	tests := []struct {
		name   string
		base   Health
		change Health
		check  func(h *Health) bool
		fails  string
	}{
		{"interval", base, Health{Interval: &hour}, func(h *Health) bool {
			return h.Every() == hour && h.Tries() == 5 && h.Action() == "kill" && h.Startup.Retries == 2
		}, ""},
		{"command", base, Health{Test: []string{"CMD", "b"}}, func(h *Health) bool { return h.Test[1] == "b" && h.Every() == second }, ""},
		{"off", base, Health{Test: []string{"NONE"}}, func(h *Health) bool { return !h.Defined() && h.Startup == nil && h.Action() == "none" }, ""},
		{"action", base, Health{OnFailure: "none"}, func(h *Health) bool { return h.Action() == "none" }, ""},
		{"log", base, Health{MaxLogCount: &one, LogDestination: "events_logger"}, func(h *Health) bool { return h.LogCount() == 1 && h.LogSize() == 500 && h.LogTo() == "events_logger" }, ""},
		{"start-up value", base, Health{Startup: &StartupCheck{Successes: 3}}, func(h *Health) bool {
			return h.Startup.Successes == 3 && h.Startup.Retries == 2 && h.Startup.Test[1] == "s"
		}, ""},
		{"start-up off", base, Health{Startup: &StartupCheck{Test: []string{"NONE"}}}, func(h *Health) bool { return h.Startup == nil && h.Defined() }, ""},
		{"new", Health{}, Health{Test: []string{"CMD", "n"}, Retries: 1}, func(h *Health) bool { return h.Defined() && h.Tries() == 1 }, ""},
		{"value of none", Health{}, Health{Retries: 1}, nil, "that has none"},
		{"start-up of none", Health{Test: []string{"CMD", "a"}}, Health{Startup: &StartupCheck{Retries: 1}}, nil, "startup healthcheck of a container that has none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := tt.base
			err := h.Change(&tt.change)
			switch {
			case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
				t.Errorf("error %v, want %s", err, tt.fails)
			case tt.fails == "" && (err != nil || !tt.check(&h)):
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
	if base.Startup.Successes != 0 || base.Retries != 5 {
		t.Error("the base was changed")
	}
}

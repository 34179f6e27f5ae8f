package image

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseConfigHostile(t *testing.T) {
	tests := map[string]struct {
		raw  string
		fail bool
	}{
		"empty object":   {raw: `{}`},
		"null config":    {raw: `{"config":null}`},
		"unknown keys":   {raw: `{"config":{"Hooks":["rm -rf /"],"Healthcheck":{"Test":["CMD","x"]}},"x":1}`},
		"no JSON":        {raw: `MZ`, fail: true},
		"wrong type":     {raw: `{"config":{"Env":"A=B"}}`, fail: true},
		"number as User": {raw: `{"config":{"User":7}}`, fail: true},
		"too large":      {raw: `{"x":"` + strings.Repeat("a", maxConfig) + `"}`, fail: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := parseConfig([]byte(test.raw)); (err != nil) != test.fail {
				t.Errorf("err = %v", err)
			}
		})
	}
	config, _, err := parseConfig([]byte(`{"config":{"Env":["A=$HOME","B","=C","D=x\u0000y","E="]}}`))
	if err != nil || strings.Join(config.Env, " ") != "A=$HOME E=" {
		t.Errorf("env %q, %v", config.Env, err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"config":{"Env":["A=B"],"Volumes":{"/v":{}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		config, _, err := parseConfig(raw)
		if err != nil {
			return
		}
		for _, pair := range config.Env {
			if strings.IndexByte(pair, '=') < 1 {
				t.Errorf("env entry %q", pair)
			}
		}
	})
}

func TestSplitName(t *testing.T) {
	for in, want := range map[string][2]string{
		"":                          {"<none>", "<none>"},
		"docker.io/library/a:1":     {"docker.io/library/a", "1"},
		"host:5000/a":               {"host:5000/a", "latest"},
		"host:5000/a:2":             {"host:5000/a", "2"},
		"quay.io/a@sha256:" + "0":   {"quay.io/a", "<none>"},
		"quay.io/a:3@sha256:" + "0": {"quay.io/a", "3"},
	} {
		if repo, tag := SplitName(in); repo != want[0] || tag != want[1] {
			t.Errorf("SplitName(%q) = %q, %q", in, repo, tag)
		}
	}
}

func TestExplain(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"chain": {
			`initializing source docker://x/y:latest: reading manifest latest in x/y: quota exceeded`,
			`n: quota exceeded`,
		},
		"lines":     {"a\n * b\n", "n: a * b"},
		"rate":      {"toomanyrequests: You have reached your pull rate limit", "n: toomanyrequests: You have reached your pull rate limit"},
		"full disk": {"writing blob: x: no space left on device", "n: no space left on device, in the store or in TMPDIR: see `pod system df --why`, and free some with `pod system prune`"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := explain("n", errors.New(test.in)).Error(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	inner := &Error{Name: "x", Reason: "y", kind: kindInUse}
	if err := explain("n", fmt.Errorf("more: %w", inner)); !errors.Is(err, ErrInUse) {
		t.Errorf("an explained error is explained again: %v", err)
	}
}

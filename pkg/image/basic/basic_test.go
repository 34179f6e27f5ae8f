package basic

import (
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
		"too large":      {raw: `{"x":"` + strings.Repeat("a", MaxConfig) + `"}`, fail: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseConfig([]byte(test.raw)); (err != nil) != test.fail {
				t.Errorf("err = %v", err)
			}
		})
	}
	config, err := ParseConfig([]byte(`{"config":{"Env":["A=$HOME","B","=C","D=x\u0000y","E="]}}`))
	if err != nil || strings.Join(config.Env, " ") != "A=$HOME E=" {
		t.Errorf("env %q, %v", config.Env, err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"config":{"Env":["A=B"],"Volumes":{"/v":{}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		config, err := ParseConfig(raw)
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

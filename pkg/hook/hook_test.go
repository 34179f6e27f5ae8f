package hook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

// dir makes a directory of hooks; @ in a text is its path.
func dir(t *testing.T, files map[string]string) string {
	t.Helper()
	at := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(at, name), []byte(strings.ReplaceAll(text, "@", at)), 0o700); err != nil { //nolint:gosec // programs
			t.Fatal(err)
		}
	}
	return at
}

const always = `{"version": "1.0.0", "hook": {"path": "@/run", "env": ["PATH=/usr/bin:/bin"]}, "when": {"always": true}, "stages": ["STAGE"]}`

func TestAdd(t *testing.T) {
	stage := func(name string) string { return strings.Replace(always, "STAGE", name, 1) }
	good := dir(t, map[string]string{
		"a.json": stage("createRuntime"), "b.json": stage("poststop"), "README": "none",
		"c.json": strings.Replace(stage("poststart"), `"always": true`, `"hasBindMounts": true`, 1), "run": "#!/bin/sh\ncat\n",
	})
	changing := dir(t, map[string]string{"a.json": stage("precreate"), "run": "#!/bin/sh\nsed s/before/after/\n"})
	for _, tt := range []struct {
		name    string
		dirs    []string
		binds   bool
		want    string
		failure string
	}{
		{name: "none", dirs: []string{"/nonsense"}},
		{name: "two", dirs: []string{good}, want: "createRuntime poststop"},
		{name: "binds", dirs: []string{good}, binds: true, want: "createRuntime poststart poststop"},
		{name: "changed", dirs: []string{changing}, want: "after"},
		{name: "later wins", dirs: []string{changing, good}, want: "createRuntime poststop"},
		{name: "failing", dirs: []string{dir(t, map[string]string{"a.json": stage("precreate"), "run": "#!/bin/sh\necho no >&2; exit 3\n"})}, failure: "exit status 3 no"},
		{name: "no JSON", dirs: []string{dir(t, map[string]string{"a.json": stage("precreate"), "run": "#!/bin/sh\necho hello\n"})}, failure: "no OCI specification"},
		{name: "bad stage", dirs: []string{dir(t, map[string]string{"a.json": stage("never"), "run": ""})}, failure: "unknown stage"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec, err := Add(t.Context(), tt.dirs, &rspec.Spec{Hostname: "before", Process: &rspec.Process{Args: []string{"sh"}}}, tt.binds)
			if tt.failure != "" {
				if err == nil || !strings.Contains(err.Error(), tt.failure) {
					t.Fatalf("%v, want %q", err, tt.failure)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := stages(spec); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// stages says which stages have a hook, or that the specification was changed.
func stages(spec *rspec.Spec) string {
	var got []string
	if spec.Hostname != "before" {
		got = append(got, spec.Hostname)
	}
	stop := Poststop(spec)
	if spec.Hooks != nil && len(spec.Hooks.CreateRuntime) > 0 {
		got = append(got, "createRuntime")
	}
	if spec.Hooks != nil && len(spec.Hooks.Poststart) > 0 {
		got = append(got, "poststart")
	}
	if len(stop) > 0 {
		got = append(got, "poststop")
	}
	return strings.Join(got, " ")
}

func TestRun(t *testing.T) {
	at := dir(t, map[string]string{"ok": "#!/bin/sh\n/bin/cat >@/state\n", "bad": "#!/bin/sh\nexit 4\n"})
	slow, zero := filepath.Join(at, "slow"), 0
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nexec /bin/sleep 100\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	err := Run(t.Context(), []rspec.Hook{{Path: filepath.Join(at, "bad")}, {Path: slow, Timeout: &zero}, {Path: filepath.Join(at, "ok")}},
		rspec.State{ID: "me", Status: rspec.StateStopped})
	if err == nil || !strings.Contains(err.Error(), "/bad: exit status 4") || !strings.Contains(err.Error(), "/slow: ") {
		t.Errorf("%v", err)
	}
	data, _ := os.ReadFile(filepath.Join(at, "state"))
	if !strings.Contains(string(data), `"id":"me","status":"stopped"`) {
		t.Errorf("state %q", data)
	}
}

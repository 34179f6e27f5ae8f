package cdi

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
)

const head = `{"cdiVersion": "0.7.0", "kind": "acme.com/gizmo", `

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	low, high := t.TempDir(), t.TempDir()
	write(t, low, "a.json", head+`"devices": [{"name": "one", "containerEdits": {"env": ["A=low"]}}, {"name": "two", "containerEdits": {"env": ["A=2"]}}]}`)
	write(t, high, "a.json", head+`"devices": [{"name": "one", "containerEdits": {"env": ["A=high"]}}]}`)
	write(t, high, "b.yaml", "cdiVersion: 0.6.0\nkind: acme.com/part\ndevices:\n- name: x\n  containerEdits: {env: [B=1]}\n")
	write(t, high, "c.json", strings.Replace(head, "gizmo", "part", 1)+`"devices": [{"name": "x", "containerEdits": {"env": ["B=2"]}}]}`)
	write(t, high, "notes.txt", "nothing")
	r := Load([]string{low, high, filepath.Join(low, "none")})
	for _, tt := range []struct{ name, want string }{
		{"acme.com/gizmo=one", ""},
		{"acme.com/gizmo=two", ""},
		{"acme.com/gizmo=three", "unresolvable CDI devices acme.com/gizmo=three: no specification in " + low},
		{"acme.com/part=x", "conflicting CDI device acme.com/part=x"},
	} {
		err := r.Check([]string{tt.name})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	spec := &rspec.Spec{Process: &rspec.Process{Env: []string{"A=user", "AB=x"}}}
	if err := r.Apply(spec, []string{"acme.com/gizmo=one"}, true); err != nil {
		t.Fatal(err)
	}
	if want := []string{"AB=x", "A=high"}; !slices.Equal(spec.Process.Env, want) {
		t.Errorf("environment %q, want %q", spec.Process.Env, want)
	}
}

func TestBroken(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":    head + `"nonsense": 1}`,
		"no version":     `{"kind": "acme.com/gizmo", "devices": []}`,
		"later version":  `{"cdiVersion": "99.0.0", "kind": "acme.com/gizmo", "devices": []}`,
		"bad kind":       `{"cdiVersion": "0.6.0", "kind": "gizmo", "devices": []}`,
		"bad name":       head + `"devices": [{"name": "a b", "containerEdits": {"env": ["A=1"]}}]}`,
		"bad variable":   head + `"devices": [{"name": "x", "containerEdits": {"env": ["=1"]}}]}`,
		"bad node":       head + `"devices": [{"name": "x", "containerEdits": {"deviceNodes": [{"path": "dev/x"}]}}]}`,
		"bad node type":  head + `"devices": [{"name": "x", "containerEdits": {"deviceNodes": [{"path": "/dev/x", "type": "q"}]}}]}`,
		"bad mount":      head + `"devices": [{"name": "x", "containerEdits": {"mounts": [{"hostPath": "/x", "containerPath": ""}]}}]}`,
		"bad hook stage": head + `"containerEdits": {"hooks": [{"hookName": "later", "path": "/bin/true"}]}, "devices": []}`,
	} {
		dir := t.TempDir()
		write(t, dir, "x.json", text)
		err := Load([]string{dir}).Check([]string{"acme.com/gizmo=x"})
		if err == nil || !strings.Contains(err.Error(), "x.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApply(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.json", head+`
		"containerEdits": {"env": ["ALL=1"], "hooks": [{"hookName": "createContainer", "path": "/hook"}]},
		"devices": [
		{"name": "a", "containerEdits": {"deviceNodes": [{"path": "/dev/gizmo", "hostPath": "/dev/null", "permissions": "r"}],
			"mounts": [{"hostPath": "/lib", "containerPath": "/deep/er/lib", "options": ["ro"]}], "additionalGids": [0, 7]}},
		{"name": "b", "containerEdits": {"deviceNodes": [{"path": "/dev/other", "type": "c", "major": 1, "minor": 5}]}},
		{"name": "none", "containerEdits": {"deviceNodes": [{"path": "/dev/no such"}]}},
		{"name": "dir", "containerEdits": {"deviceNodes": [{"path": "/dev"}]}}]}`)
	r := Load([]string{dir})
	both := []string{"acme.com/gizmo=a", "acme.com/gizmo=b"}

	made := &rspec.Spec{Process: &rspec.Process{}, Linux: &rspec.Linux{Resources: &rspec.LinuxResources{}}}
	if err := r.Apply(made, both, false); err != nil {
		t.Fatal(err)
	}
	if d := made.Linux.Devices; len(d) != 2 || d[0].Path != "/dev/gizmo" || d[0].Major != 1 || d[0].Minor != 3 || d[0].Type != "c" || d[1].Minor != 5 {
		t.Errorf("devices %+v", d)
	}
	if d := made.Linux.Resources.Devices; len(d) != 2 || d[0].Access != "r" || d[1].Access != "rwm" {
		t.Errorf("rules %+v", d)
	}
	if len(made.Hooks.CreateContainer) != 1 || !slices.Equal(made.Process.Env, []string{"ALL=1"}) || !slices.Equal(made.Process.User.AdditionalGids, []uint32{7}) {
		t.Errorf("hooks %+v, process %+v", made.Hooks, made.Process)
	}

	bound := &rspec.Spec{Mounts: []rspec.Mount{{Destination: "/deep/er/lib/x"}, {Destination: "/dev"}, {Destination: "/dev/gizmo"}}}
	if err := r.Apply(bound, both[:1], true); err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, m := range bound.Mounts {
		places = append(places, m.Destination)
	}
	if want := []string{"/dev", "/dev/gizmo", "/deep/er/lib", "/deep/er/lib/x"}; !slices.Equal(places, want) {
		t.Errorf("mounts at %q, want %q", places, want)
	}
	if m := bound.Mounts[1]; m.Source != "/dev/null" || !slices.Contains(m.Options, "ro") || len(bound.Linux.Devices) != 0 {
		t.Errorf("bound %+v", m)
	}
	for _, name := range []string{"none", "dir"} {
		if err := r.Apply(&rspec.Spec{}, []string{"acme.com/gizmo=" + name}, false); err == nil {
			t.Errorf("%s was applied", name)
		}
	}
}

func TestGPUs(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load([]string{dir}).GPUs([]string{"all"}); err == nil || !strings.Contains(err.Error(), "unresolvable CDI devices") {
		t.Errorf("without any: %v", err)
	}
	for _, vendor := range []string{"amd", "nvidia"} {
		write(t, dir, vendor+".json", `{"cdiVersion": "0.6.0", "kind": "`+vendor+`.com/gpu", "devices": [{"name": "0", "containerEdits": {"env": ["A=1"]}}]}`)
		names, err := Load([]string{dir}).GPUs([]string{"device=0"})
		if err != nil || !slices.Equal(names, []string{vendor + ".com/gpu=0"}) {
			t.Errorf("%s: %q, %v", vendor, names, err)
		}
	}
	if _, err := Load([]string{dir}).GPUs([]string{"7"}); err == nil {
		t.Error("found what is not there")
	}
}

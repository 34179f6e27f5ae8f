package ociruntime

import (
	"os"
	"path/filepath"
	"testing"
)

func TestForget(t *testing.T) {
	const id = "0123"
	tests := []struct {
		name, runtime string
		cgroup        string // made below the test's directory; "-" is none
		dirs          []string
		files         []string
		want          bool
	}{
		{name: "no cgroup", runtime: "crun", cgroup: "-", want: true},
		{name: "empty cgroup", runtime: "crun", cgroup: "cg", dirs: []string{"cg"}, want: true},
		{name: "cgroups of its own", runtime: "crun", cgroup: "cg", dirs: []string{"cg/a/b", "cg/c"}, want: true},
		{name: "cgroup that cannot go", runtime: "crun", cgroup: "cg", dirs: []string{"cg/a"}, files: []string{"cg/a/busy"}},
		{name: "cgroup that is elsewhere", runtime: "crun", cgroup: "cg"},
		{name: "another runtime", runtime: "runc", cgroup: "-"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			state := filepath.Join(dir, "state")
			for _, sub := range append(test.dirs, "state/"+id, "state/other") {
				if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range append(test.files, "state/"+id+"/status") {
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cgroup := ""
			if test.cgroup != "-" {
				cgroup = filepath.Join(dir, test.cgroup)
			}
			r := &Runtime{Name: test.runtime, Path: "/usr/bin/" + test.runtime, StateRoot: state}
			got, err := r.Forget(id, cgroup)
			if err != nil || got != test.want {
				t.Fatalf("Forget: %v, %v; want %v", got, err, test.want)
			}
			if _, err := os.Stat(filepath.Join(state, id)); (err != nil) != test.want {
				t.Errorf("state of the container: %v", err)
			}
			if _, err := os.Stat(filepath.Join(state, "other")); err != nil {
				t.Errorf("state of another container: %v", err)
			}
			if _, err := os.Stat(cgroup); test.want && cgroup != "" && err == nil {
				t.Error("the cgroup is still there")
			}
		})
	}
}

func TestForgetStaysInside(t *testing.T) {
	dir := t.TempDir()
	r := &Runtime{Name: "crun", Path: "/usr/bin/crun", StateRoot: filepath.Join(dir, "state")}
	for _, id := range []string{"", "..", "a/b"} {
		if got, err := r.Forget(id, ""); got || err != nil {
			t.Errorf("Forget(%q): %v, %v", id, got, err)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
}

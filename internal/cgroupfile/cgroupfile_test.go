package cgroupfile

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestSaveAndRestore(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	write("memory.max", "max\n")
	write("cpu.max", "50000 100000\n")
	write("cpuset.cpus", "\n")
	write("cgroup.procs", "1\n")
	saved, err := Save(dir)
	if err != nil || len(saved) != 3 {
		t.Fatalf("saved %v, %v", saved, err)
	}
	write("memory.max", "4096\n")
	write("cpuset.cpus", "0-1\n")
	if err := Restore(dir, saved); err != nil {
		t.Fatal(err)
	}
	if read("memory.max") != "max\n" || read("cpu.max") != "50000 100000\n" || read("cpuset.cpus") != "\n" {
		t.Error("the limits are not what they were")
	}
	if err := os.Remove(filepath.Join(dir, "cpu.max")); err != nil {
		t.Fatal(err)
	}
	write("memory.max", "1\n")
	if err := Restore(dir, saved); err == nil || read("memory.max") != "max\n" {
		t.Error("a file that is gone was no error, or kept others back")
	}
}

func TestRestoringDevices(t *testing.T) {
	cases := map[string]struct {
		name, now, saved string
		want             []string
	}{
		"new device":   {"io.max", "8:0 rbps=1 wbps=max riops=max wiops=max\n", "", []string{"8:0 rbps=max wbps=max riops=max wiops=max"}},
		"same device":  {"io.max", "8:0 rbps=1\n", "8:0 rbps=2\n", []string{"8:0 rbps=2"}},
		"two, one new": {"io.max", "8:0 rbps=1\n8:16 wbps=1\n", "8:0 rbps=2\n", []string{"8:0 rbps=2", "8:16 rbps=max wbps=max riops=max wiops=max"}},
		"weight":       {"io.weight", "default 50\n8:0 60\n", "default 100\n", []string{"default 100", "8:0 default"}},
		"plain":        {"cpu.max", "1 2\n", "max 100000\n", []string{"max 100000"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := restoring(tc.name, tc.now, tc.saved); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

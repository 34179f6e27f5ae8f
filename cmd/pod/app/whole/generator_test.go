package whole

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/internal/version"
	"github.com/rootless-pod/pod/pkg/quadlet"
)

// TestKeysAreOptions: what keys of Quadlet files become, pod takes.
func TestKeysAreOptions(t *testing.T) {
	t.Parallel()
	root := Tree()
	elsewhere := map[string]string{"ReloadSignal": "kill", "StopTimeout.pod": "pod stop"}
	for _, ref := range quadlet.References() {
		if ref.Ext == ".kube" {
			continue // not supported yet
		}
		for _, key := range ref.Keys {
			path := ref.Command
			if other := elsewhere[key.Name]; other != "" {
				path = other
			} else if other := elsewhere[key.Name+ref.Ext]; other != "" {
				path = other
			}
			if key.Flag == "" {
				continue
			}
			cmd, _, err := root.Find(strings.Fields(path))
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimPrefix(key.Flag, "--")
			f := cmd.Flags().Lookup(name)
			if f == nil {
				f = cmd.InheritedFlags().Lookup(name)
			}
			if f == nil || strings.HasPrefix(f.Usage, "Not supported") {
				t.Errorf("%s in %s: pod %s has no %s", key.Name, ref.Ext, path, key.Flag)
			}
		}
	}
}

func TestGeneratorFlags(t *testing.T) {
	t.Setenv(quadlet.UnitDirsVariable, t.TempDir())
	dir := filepath.Join(t.TempDir(), "out")
	tests := []struct {
		args        []string
		code        int
		out, stderr string
	}{
		{[]string{"--version"}, 0, version.Version + "\n", ""},
		{[]string{"-version"}, 0, version.Version + "\n", ""},
		{[]string{"-dryrun"}, 0, "", "No Quadlet files found"},
		{[]string{"--dryrun", "--user", "--no-kmsg-log"}, 0, "", "No Quadlet files found"},
		{[]string{"-no-kmsg-log", dir, dir, dir}, 0, "", ""},
		{[]string{"-no-kmsg-log", "-v", dir}, 0, "", "No Quadlet files found"},
		{[]string{"-no-kmsg-log"}, 1, "", "missing output directory argument"},
		{[]string{"--nonsense"}, 2, "", "flag provided but not defined: -nonsense"},
		{[]string{"--help"}, 0, "", "-dryrun"},
	}
	for _, tc := range tests {
		var out, stderr bytes.Buffer
		code := generator(append([]string{"/x/pod-user-generator"}, tc.args...), &out, &stderr)
		if code != tc.code || out.String() != tc.out || !strings.Contains(stderr.String(), tc.stderr) || tc.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%q: %d %q %q", tc.args, code, out.String(), stderr.String())
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("without files a directory was made")
	}
	if isGenerator("/usr/bin/pod") || !isGenerator("pod-system-generator") {
		t.Error("a generator is known by its name")
	}
}

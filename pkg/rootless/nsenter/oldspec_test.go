package nsenter

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The constructor takes the place of a runtime, and becomes it.
func TestOldSpec(t *testing.T) {
	for name, tc := range map[string]struct {
		spec, want string
		args       []string
		fails      bool
	}{
		"create":         {`{"ociVersion":"1.3.0","root":{}}`, `{"ociVersion":"1.0.2","root":{}}`, []string{"--log", "x", "create", "--bundle", "."}, false},
		"start":          {`{"ociVersion":"1.3.0"}`, `{"ociVersion":"1.3.0"}`, []string{"start", "--bundle", "."}, false},
		"old already":    {`{"ociVersion":"1.0.2"}`, `{"ociVersion":"1.0.2"}`, []string{"create", "--bundle", "."}, false},
		"another length": {`{"ociVersion":"1.10.0"}`, `{"ociVersion":"1.10.0"}`, []string{"create", "--bundle", "."}, false},
		"no version":     {`{}`, `{}`, []string{"create", "--bundle", "."}, false},
		"no bundle":      {`{}`, `{}`, []string{"create", "--bundle", "none"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := filepath.Join(dir, "config.json")
			if err := os.WriteFile(config, []byte(tc.spec), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
			cmd.Args = append([]string{"/some/where/pod-runtime"}, tc.args...)
			cmd.Env = append(os.Environ(), "POD_OLD_RUNTIME=/bin/echo")
			cmd.Dir = dir
			out, err := cmd.Output()
			if (err != nil) != tc.fails {
				t.Fatalf("error %v, want one: %v", err, tc.fails)
			}
			if want := strings.Join(tc.args, " ") + "\n"; !tc.fails && string(out) != want {
				t.Errorf("the runtime got %q, want %q", out, want)
			}
			if data, _ := os.ReadFile(config); string(data) != tc.want {
				t.Errorf("%s, want %s", data, tc.want)
			}
		})
	}
}

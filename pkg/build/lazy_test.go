package build

import (
	"os"
	"path/filepath"
	"testing"

	"go.podman.io/buildah/define"
)

func TestContainerUse(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]struct {
		text, name   string
		mounts       []string
		lazy, shared bool
	}{
		"plain":            {text: "FROM a\nRUN true\nENV A=from=b\n", lazy: true},
		"volume":           {text: "FROM a\nvolume /x\n"},
		"continued volume": {text: "FROM a\nVOL\\\nUME /x\n"},
		"onbuild":          {text: "FROM a\nONBUILD RUN true\n"},
		"copy from":        {text: "FROM a AS b\nFROM c\nCOPY --from=b /x /\n", lazy: true, shared: true},
		"mount from":       {text: "FROM a\nRUN --mount=type=bind,from=b,target=/x true\n", lazy: true, shared: true},
		"mount by an arg":  {text: "FROM a\nARG M\nRUN --mount=$M true\n", lazy: true, shared: true},
		"transient mount":  {text: "FROM a\nRUN true\n", mounts: []string{"type=bind,from=b,target=/x"}, lazy: true, shared: true},
		"here document":    {text: "FROM a\nRUN <<E\nVOLUME is a word\nE\n", lazy: true},
		"preprocessed":     {text: "FROM a\n", name: "Containerfile.in"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := test.name
			if file == "" {
				file = "Containerfile"
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			use := containerUse(parsed([]string{file}, dir), &define.BuildOptions{ContextDirectory: dir, TransientRunMounts: test.mounts})
			if use.Lazy != test.lazy || use.Shared != test.shared {
				t.Errorf("lazy %v, shared %v; want %v, %v", use.Lazy, use.Shared, test.lazy, test.shared)
			}
		})
	}
	for _, file := range []string{"missing", "https://example.org/Containerfile", "/dev/null"} {
		if use := containerUse(parsed([]string{file}, dir), &define.BuildOptions{ContextDirectory: dir}); use.Lazy {
			t.Errorf("%s is taken for a plain file", file)
		}
	}
	if containerUse(nil, &define.BuildOptions{}).Lazy {
		t.Error("no file, and yet lazy")
	}
}

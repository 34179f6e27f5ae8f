package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openshift/imagebuilder"
	"go.podman.io/buildah/define"
	cstorage "go.podman.io/storage"
)

func TestContextOverlayIsLeftWhereStepsWrite(t *testing.T) {
	dir := "/dev/shm" // a tmpfs wherever tests run
	for _, test := range []struct {
		name, text string
		opts       define.BuildOptions
		want       bool
	}{
		{name: "plain", text: "FROM a\nRUN b\nCOPY c /\n", want: true},
		{name: "cache", text: "FROM a\nRUN --mount=type=cache,target=/c b\n", want: true},
		{name: "bind", text: "FROM a\nRUN --mount=type=bind,target=/c b\n", want: true},
		{name: "written", text: "FROM a\nRUN --mount=type=bind,target=/c,rw b\n"},
		{name: "written, in full", text: "FROM a\nRUN --mount=type=bind,target=/c,readwrite=true b\n"},
		{name: "unknown", text: "FROM a\nARG how\nRUN --mount=type=bind,target=/c,$how b\n"},
		{name: "by option", text: "FROM a\nRUN b\n", opts: define.BuildOptions{TransientRunMounts: []string{"type=bind,target=/c,rw"}}},
		{name: "two platforms", text: "FROM a\n", opts: define.BuildOptions{Platforms: []struct{ OS, Arch, Variant string }{{}, {}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, err := imagebuilder.ParseDockerfile(strings.NewReader(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := newContextOverlay(dir, []containerfile{{"Containerfile", root}}, &test.opts) != nil; got != test.want {
				t.Errorf("newContextOverlay: %v, want %v", got, test.want)
			}
		})
	}
	if newContextOverlay(dir, []containerfile{{"-", nil}}, &define.BuildOptions{}) != nil {
		t.Error("a Containerfile that was not read may have anything")
	}
}

// optionless is a store without options.
type optionless struct{ cstorage.Store }

func (optionless) GraphOptions() []string { return nil }

func TestContextOverlayGivesTheEnvironmentBack(t *testing.T) {
	for _, before := range []string{"", "/elsewhere"} {
		t.Setenv("TMPDIR", before)
		if before == "" {
			if err := os.Unsetenv("TMPDIR"); err != nil {
				t.Fatal(err)
			}
		}
		c := &contextOverlay{dir: t.TempDir()}
		store := c.around(optionless{})
		if got := os.Getenv("TMPDIR"); got != c.dir {
			t.Errorf("TMPDIR is %q, want %q", got, c.dir)
		}
		store.GraphOptions()
		if got, set := os.LookupEnv("TMPDIR"); got != before || set != (before != "") {
			t.Errorf("TMPDIR is %q then, %v; want %q", got, set, before)
		}
		c.end()
	}
}

func TestDropContexts(t *testing.T) {
	dir := t.TempDir()
	overlay := filepath.Join(dir, contextPrefix+"1", "overlay", "2")
	other := filepath.Join(dir, "3")
	for _, path := range []string{filepath.Join(overlay, "merge"), filepath.Join(overlay, "upper"), other} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := dropContexts(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(overlay)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the overlay is still there: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rootless-pod/pod/cmd/pod/app/whole"
)

// TestProofs reads the marks of the real scripts: a wrong one fails here.
func TestProofs(t *testing.T) {
	found, err := newCommandSet(whole.Tree()).readProofs(os.DirFS("../../test/e2e/testdata"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Error("no script has a mark")
	}
}

func TestProofsRefused(t *testing.T) {
	set := newCommandSet(whole.Tree())
	for _, tc := range []struct{ script, want string }{
		{"# proves: flies\n", `no command "flies"`},
		{"# proves: run --no-such\nexec pod run --no-such", "run has no flag --no-such"},
		{"# proves: run --rm --cap-add\n# --cap-add\nexec pod run --rm x", "does not use --cap-add"},
		{"# proves: run --interactive --tty\nexec pod run -it x", ""},
		{"# proves: container ls --all\nexec pod container ls -qa", ""},
	} {
		_, err := set.readProofs(fstest.MapFS{"a/b.txtar": {Data: []byte(tc.script)}})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%q: %v, want %q", tc.script, err, tc.want)
		}
	}
}

func TestCompatibility(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	scripts := fstest.MapFS{"a/b.txtar": {Data: []byte("# proves: container run --rm\nexec pod run --rm x")}}
	if err := compatibility(whole.Tree(), scripts, file); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const link = "| `--rm` | [a/b](../test/e2e/testdata/a/b.txtar) |"
	if n := strings.Count(string(page), link); n != 2 { // run and create
		t.Errorf("%d rows %s in\n%s", n, link, page)
	}
	if strings.Contains(string(page), "## pod container run\n") {
		t.Error("two sections for one command")
	}
}

// TestSameCommand: a mark of one form proves the command, whichever form it has its
// section under.
func TestSameCommand(t *testing.T) {
	set := newCommandSet(whole.Tree())
	for words, want := range map[string]string{
		"pull": "pull", "image pull": "pull", "image list": "images", "image ls": "images", "images": "images",
		"image rm": "rmi", "image build": "build", "buildx build": "build",
		"buildx prune": "image prune", "image prune": "image prune", "container run": "run", "container ls": "ps",
		"mount": "mount", "image mount": "image mount", "image umount": "image unmount", "image inspect": "image inspect",
		"system info": "info", "system prune": "system prune", "manifest push": "manifest push",
	} {
		if got := set.canonical[words]; got != want {
			t.Errorf("%s counts as %q, want %q", words, got, want)
		}
	}
}

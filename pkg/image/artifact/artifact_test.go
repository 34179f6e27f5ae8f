package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
)

// put writes a blob into a layout.
func put(t *testing.T, root, text string) digest.Digest {
	t.Helper()
	d := digest.FromString(text)
	path, err := blobPath(root, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// layer is a file of an artifact.
func layer(t *testing.T, root, title, text string) string {
	t.Helper()
	return fmt.Sprintf(`{"mediaType":"t/t","digest":%q,"size":%d,"annotations":{"org.opencontainers.image.title":%q}}`,
		put(t, root, text), len(text), title)
}

// manifestOf writes the manifest of an artifact with these layers.
func manifestOf(t *testing.T, root string, layers ...string) digest.Digest {
	t.Helper()
	return put(t, root, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[%s]}`,
		imgspec.MediaTypeImageManifest, put(t, root, "{}"), strings.Join(layers, ",")))
}

func entry(name string, d digest.Digest) imgspec.Descriptor {
	return imgspec.Descriptor{Digest: d, Annotations: map[string]string{imgspec.AnnotationRefName: name}}
}

func store(t *testing.T, entries ...imgspec.Descriptor) *Store {
	t.Helper()
	s := &Store{root: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	if err := writeIndex(s.root, &imgspec.Index{Manifests: entries}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFind(t *testing.T) {
	one, two := digest.FromString("1"), digest.FromString("2")
	index := &imgspec.Index{Manifests: []imgspec.Descriptor{
		entry("localhost/a:latest", one), entry("localhost/b", two), entry("quay.io/c:v1", one), {Digest: "sha256:../../x"},
	}}
	for name, want := range map[string]string{
		"localhost/a": "localhost/a:latest", "localhost/a:latest": "localhost/a:latest", "localhost/b": "localhost/b",
		"localhost/a:v2": "", "quay.io/c:v1": "quay.io/c:v1", "quay.io/c@" + one.String(): "quay.io/c:v1",
		"quay.io/c@" + two.String(): "", two.Encoded()[:12]: "localhost/b", two.String(): "localhost/b",
		one.Encoded(): "several", "": "", "nothing": "", "UPPER": "", "../x": "",
	} {
		got, err := find(index, name)
		switch {
		case want == "" && !errors.Is(err, ErrUnknown):
			t.Errorf("%q: %v, want that it is unknown", name, err)
		case want == "several" && (err == nil || errors.Is(err, ErrUnknown)):
			t.Errorf("%q: %v, want that it is several", name, err)
		case want != "" && want != "several" && (err != nil || nameOf(got) != want):
			t.Errorf("%q: %v %v, want %q", name, got, err, want)
		}
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	s := store(t)
	good := fmt.Sprintf(`"config":{"digest":%q,"size":2}`, put(t, s.root, "{}"))
	kind := `"schemaVersion":2,"mediaType":"` + imgspec.MediaTypeImageManifest + `"`
	for name, test := range map[string]struct{ raw, want string }{
		"no JSON":       {"hello", "not JSON"},
		"twice":         {`{` + kind + `,` + good + `,"layers":[],"layers":[]}`, "duplicate key"},
		"index":         {`{"schemaVersion":2,"mediaType":"` + imgspec.MediaTypeImageIndex + `","manifests":[]}`, "its type is"},
		"docker":        {`{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",` + good + `}`, "its type is"},
		"both":          {`{` + kind + `,` + good + `,"layers":[],"manifests":[]}`, "refused"},
		"layer's path":  {`{` + kind + `,` + good + `,"layers":[{"digest":"sha256:../../x","size":1}]}`, "no digest"},
		"config's path": {`{` + kind + `,"config":{"digest":"../x","size":1},"layers":[]}`, "no digest"},
		"layer without": {`{` + kind + `,` + good + `,"layers":[{"size":1}]}`, "no digest"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readManifest(s.root, put(t, s.root, test.raw)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	d := manifestOf(t, s.root)
	if _, err := readManifest(s.root, d); err != nil {
		t.Errorf("a good one: %v", err)
	}
	path, _ := blobPath(s.root, d)
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readManifest(s.root, d); err == nil || !strings.Contains(err.Error(), "other content") {
		t.Errorf("a changed one: %v", err)
	}
	if _, err := readManifest(s.root, "sha256:../../etc/passwd"); err == nil {
		t.Error("a path for a digest is taken")
	}
}

// What a dead process began is undone: its blobs go unless an artifact has them.
func TestSweep(t *testing.T) {
	s := store(t)
	keep := manifestOf(t, s.root, layer(t, s.root, "a", "kept"))
	if err := writeIndex(s.root, &imgspec.Index{Manifests: []imgspec.Descriptor{entry("localhost/a:1", keep)}}); err != nil {
		t.Fatal(err)
	}
	gone := manifestOf(t, s.root, layer(t, s.root, "a", "kept"), layer(t, s.root, "b", "begun"))
	dead := filepath.Join(s.root, stagePrefix+"dead")
	if err := os.Mkdir(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	journal := fmt.Sprintf("%s\n%s\n%s\n%s\nsha256:../../x\n", gone, keep, digest.FromString("kept"), digest.FromString("begun"))
	if err := os.WriteFile(filepath.Join(dead, journalFile), []byte(journal), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Sweep()
	for d, want := range map[digest.Digest]bool{keep: true, digest.FromString("kept"): true, gone: false, digest.FromString("begun"): false} {
		path, _ := blobPath(s.root, d)
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", d, err == nil, want)
		}
	}
	if _, err := os.Lstat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the staging directory: %v", err)
	}
}

func TestExtract(t *testing.T) {
	s := store(t)
	outside := filepath.Join(t.TempDir(), "outside")
	for name, test := range map[string]struct {
		titles []string
		want   string // of the error
	}{
		"plain":    {[]string{"a", "..b", "-"}, ""},
		"none":     {[]string{""}, ""},
		"parent":   {[]string{"a", "../x"}, "title invalid"},
		"absolute": {[]string{"a", outside}, "title invalid"},
		"dots":     {[]string{"a", ".."}, "title invalid"},
		"dot":      {[]string{"."}, "title invalid"},
		"below":    {[]string{"link/x"}, "title invalid"},
		"zero":     {[]string{"a\x00b"}, "title invalid"},
		"long":     {[]string{strings.Repeat("a", 300)}, "too long"},
		"twice":    {[]string{"a", "a"}, "several"},
		"a link":   {[]string{"link"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			target := t.TempDir()
			if err := os.Symlink(outside, filepath.Join(target, "link")); err != nil {
				t.Fatal(err)
			}
			var layers []imgspec.Descriptor
			for i, title := range test.titles {
				text := fmt.Sprint(i)
				layers = append(layers, imgspec.Descriptor{
					Digest: put(t, s.root, text), Size: 1, Annotations: map[string]string{imgspec.AnnotationTitle: title},
				})
			}
			err := s.extractInto(t.Context(), layers, target, 0o640)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			entries, _ := os.ReadDir(target)
			if test.want != "" && len(entries) != 1 {
				t.Errorf("something was written: %v", entries)
			}
			if _, err := os.Lstat(outside); err == nil {
				t.Error("something was written outside")
			}
		})
	}
}

func TestVerify(t *testing.T) {
	s := store(t)
	d := put(t, s.root, "text")
	for name, layer := range map[string]imgspec.Descriptor{
		"short": {Digest: d, Size: 9}, "long": {Digest: d, Size: 2},
		"gone": {Digest: digest.FromString("gone"), Size: 4}, "path": {Digest: "sha256:../x", Size: 4},
	} {
		if err := s.verify(t.Context(), layer, &strings.Builder{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	var out strings.Builder
	if err := s.verify(t.Context(), imgspec.Descriptor{Digest: d, Size: 4}, &out); err != nil || out.String() != "text" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	path, _ := blobPath(s.root, d)
	if err := os.WriteFile(path, []byte("evil"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.verify(t.Context(), imgspec.Descriptor{Digest: d, Size: 4}, &out); err == nil {
		t.Error("a changed file is given out")
	}
}

// A reader never takes an artifact for damaged that another command is replacing.
func TestReadWhileReplaced(t *testing.T) {
	s := store(t)
	ctx := t.Context()
	var before digest.Digest
	replace := func(i int) {
		text := fmt.Sprint("text ", i)
		now := manifestOf(t, s.root, layer(t, s.root, "a", text))
		err := s.locked(func(index *imgspec.Index) error {
			index.Manifests = []imgspec.Descriptor{entry("localhost/a:1", now)}
			if err := writeIndex(s.root, index); err != nil || before == "" {
				return err
			}
			return s.removeUnused(index, []digest.Digest{before, digest.FromString(fmt.Sprint("text ", i-1))})
		})
		if err != nil {
			t.Error(err)
		}
		before = now
	}
	replace(0)
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		for i := range 200 {
			replace(i + 1)
		}
	}()
	target := t.TempDir()
	for {
		if _, err := s.Find(ctx, "localhost/a:1"); err != nil {
			t.Fatal("find:", err)
		}
		if all, err := s.List(ctx); err != nil || len(all) != 1 {
			t.Fatalf("list: %v, %v", all, err)
		}
		if err := s.Extract(ctx, "localhost/a:1", target, ExtractOptions{Mode: 0o600}); err != nil {
			t.Fatal("extract:", err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

package manifestlist

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage/manifests"
	"go.podman.io/image/v5/types"
	"golang.org/x/sys/unix"
)

// served are the manifests of a registry: by digest, the list by "".
type served struct {
	types.ImageSource
	raw  map[digest.Digest]string
	mime string
}

func (s served) GetManifest(_ context.Context, instance *digest.Digest) ([]byte, string, error) {
	if instance == nil {
		return []byte(s.raw[""]), s.mime, nil
	}
	return []byte(s.raw[*instance]), imgspec.MediaTypeImageManifest, nil
}

func TestCheckedSource(t *testing.T) {
	image := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"digest":%q,"size":2},"layers":[]}`,
		imgspec.MediaTypeImageManifest, digest.FromString("{}"))
	sum := digest.FromString(image)
	list := func(entry digest.Digest, size int) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
			imgspec.MediaTypeImageIndex, imgspec.MediaTypeImageManifest, entry, size)
	}
	for name, test := range map[string]struct{ list, mime, want string }{
		"good":      {list(sum, len(image)), imgspec.MediaTypeImageIndex, ""},
		"size":      {list(sum, len(image)+1), imgspec.MediaTypeImageIndex, "the list says"},
		"path":      {list("../x", 1), imgspec.MediaTypeImageIndex, "no digest"},
		"deep path": {list("sha256:../../../../etc/passwd", 1), imgspec.MediaTypeImageIndex, "no digest"},
		"type":      {image, imgspec.MediaTypeImageIndex, "was sent as"},
		"type back": {list(sum, len(image)), imgspec.MediaTypeImageManifest, "was sent as"},
		"twice":     {strings.Replace(list(sum, 1), `"manifests"`, `"manifests":[],"manifests"`, 1), imgspec.MediaTypeImageIndex, "duplicate key"},
		"html":      {"<html>", imgspec.MediaTypeImageIndex, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			src := &checkedSource{
				ImageSource: served{raw: map[digest.Digest]string{"": test.list, sum: image}, mime: test.mime},
				sizes:       map[digest.Digest]int64{},
			}
			_, _, err := src.GetManifest(t.Context(), nil)
			if err == nil {
				_, _, err = src.GetManifest(t.Context(), &sum)
			}
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestMember(t *testing.T) {
	list := manifests.Create()
	in, out := digest.FromString("in"), digest.FromString("out")
	if err := list.AddInstance(in, 2, imgspec.MediaTypeImageManifest, "linux", "amd64", "", nil, "", nil, nil); err != nil {
		t.Fatal(err)
	}
	looked := 0
	look := func(found ...digest.Digest) func() ([]digest.Digest, error) {
		return func() ([]digest.Digest, error) { looked++; return found, nil }
	}
	for name, test := range map[string]struct {
		mentioned string
		found     []digest.Digest
		ok        bool
		looks     int
	}{
		"digest":         {in.String(), nil, true, 0},
		"other digest":   {out.String(), []digest.Digest{in}, false, 0},
		"image":          {"app", []digest.Digest{out, in}, true, 1},
		"other image":    {"app", []digest.Digest{out}, false, 1},
		"path as digest": {"sha256:../x", nil, false, 1},
	} {
		looked = 0
		d, err := member(list, test.mentioned, look(test.found...))
		if (err == nil) != test.ok || test.ok && d != in || looked != test.looks {
			t.Errorf("%s: %v %v after %d looks", name, d, err, looked)
		}
	}
}

func TestApply(t *testing.T) {
	list := manifests.Create()
	d := digest.FromString("in")
	if err := list.AddInstance(d, 2, imgspec.MediaTypeImageManifest, "linux", "arm", "", nil, "v7", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := (Instance{OS: "plan9"}).apply(list, d); err != nil {
		t.Fatal(err)
	}
	if v, _ := list.Variant(d); v != "v7" {
		t.Errorf("variant %q: it was not spoken of", v)
	}
	if err := (Instance{Arch: "amd64"}).apply(list, d); err != nil {
		t.Fatal(err)
	}
	if v, _ := list.Variant(d); v != "" {
		t.Errorf("variant %q: it was the other architecture's", v)
	}
	if err := (Instance{OS: "linux"}).apply(list, digest.FromString("none")); err == nil {
		t.Error("no error for a member that is not there")
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	pipe, big := filepath.Join(dir, "pipe"), filepath.Join(dir, "big")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(big, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, limit := range map[string]int64{pipe: 0, dir: 0, filepath.Join(dir, "none"): 0, big: 4} {
		if _, err := readFile(path, limit); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	if data, err := readFile(big, 5); err != nil || string(data) != "12345" {
		t.Errorf("got %q %v", data, err)
	}
}

package checkpoint

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		Description: "{}", RootDiff: "diff", Images + "/core-1.img": "core", Volumes + "/data.tar": "volume", "dump.log": "not in it",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRoundTrip(t *testing.T) {
	for _, kind := range []string{"", "zstd", "gzip", "none"} {
		t.Run("compress "+kind, func(t *testing.T) {
			var b bytes.Buffer
			if err := Write(&b, []byte("key"), kind, sample(t)); err != nil {
				t.Fatal(err)
			}
			to := t.TempDir()
			if err := Read(&b, []byte("key"), to); err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(filepath.Join(to, Images, "core-1.img")); err != nil || string(data) != "core" {
				t.Errorf("got %q, %v", data, err)
			}
			if _, err := os.Stat(filepath.Join(to, "dump.log")); err == nil {
				t.Error("a file came along that does not belong there")
			}
		})
	}
	if err := Write(&bytes.Buffer{}, nil, "xz", sample(t)); err == nil {
		t.Error("an unknown compression was accepted")
	}
}

// TestForged: archives that were changed, or come from elsewhere.
func TestForged(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, []byte("key"), "none", sample(t)); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	changed := bytes.Replace(bytes.Clone(whole), []byte("core"+strings.Repeat("\x00", 10)), []byte("evil"+strings.Repeat("\x00", 10)), 1)
	renamed := bytes.Clone(whole)
	if bytes.Equal(changed, whole) {
		t.Fatal("nothing was changed")
	}
	for name, data := range map[string][]byte{
		"another key": whole, "changed content": changed, "cut": renamed[:len(renamed)/2], "empty": nil, "garbage": []byte("hello"),
	} {
		key := []byte("key")
		if name == "another key" {
			key = []byte("other")
		}
		if err := Read(bytes.NewReader(data), key, t.TempDir()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestHostileEntries: nothing but regular files of known names is ever made.
func TestHostileEntries(t *testing.T) {
	outside := t.TempDir()
	for _, head := range []*tar.Header{
		{Name: "../evil", Typeflag: tar.TypeReg},
		{Name: "/etc/evil", Typeflag: tar.TypeReg},
		{Name: "checkpoint/../../evil", Typeflag: tar.TypeReg},
		{Name: "checkpoint/.hidden", Typeflag: tar.TypeReg},
		{Name: "checkpoint", Typeflag: tar.TypeSymlink, Linkname: outside},
		{Name: "checkpoint/link", Typeflag: tar.TypeSymlink, Linkname: outside},
		{Name: "checkpoint/hard", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		{Name: "checkpoint/device", Typeflag: tar.TypeBlock},
		{Name: "checkpoint/fifo", Typeflag: tar.TypeFifo},
		{Name: "checkpoint/", Typeflag: tar.TypeDir},
		{Name: "config.json", Typeflag: tar.TypeReg},
	} {
		t.Run(head.Name, func(t *testing.T) {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			if err := w.WriteHeader(head); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := Read(&b, []byte("key"), dir); err == nil || errors.Is(err, ErrSeal) {
				t.Errorf("error %v, want that the entry is refused", err)
			}
			if made, _ := os.ReadDir(dir); len(made) != 0 {
				t.Errorf("made %v", made)
			}
		})
	}
	// A name twice cannot replace what was there.
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for range 2 {
		if err := w.WriteHeader(&tar.Header{Name: Description, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if err := Read(&b, nil, t.TempDir()); !errors.Is(err, os.ErrExist) {
		t.Errorf("a name twice: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if Read(bytes.NewReader(data), []byte("key"), t.TempDir()) == nil {
			t.Error("accepted without the key")
		}
	})
}

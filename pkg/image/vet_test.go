package image

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestVetArchive(t *testing.T) {
	type m struct {
		name, link string
		kind       byte
	}
	for _, c := range []struct {
		name    string
		members []m
		want    string
	}{
		{"docker's own links", []m{{"a/layer.tar", "", tar.TypeReg}, {"b/layer.tar", "../a/layer.tar", tar.TypeSymlink}, {"manifest.json", "", tar.TypeReg}}, ""},
		{"hard link inside", []m{{"a", "", tar.TypeReg}, {"d/b", "a", tar.TypeLink}}, ""},
		{"absolute name", []m{{"/etc/passwd", "", tar.TypeReg}}, "name that leads outside"},
		{"dots", []m{{"a/../../x", "", tar.TypeReg}}, "name that leads outside"},
		{"absolute link", []m{{"manifest.json", "/etc/passwd", tar.TypeSymlink}}, "link that leads outside"},
		{"link up", []m{{"a/b", "../../x", tar.TypeSymlink}}, "link that leads outside"},
		{"hard link up", []m{{"a/b", "../x", tar.TypeLink}}, "link that leads outside"},
		{"empty link", []m{{"a", "", tar.TypeSymlink}}, "link that leads outside"},
		{"up through a link", []m{{"p/q/r", "../..", tar.TypeSymlink}, {"z", "p/q/r/../x", tar.TypeSymlink}}, "link that leads outside"},
		{"behind a link", []m{{"d", "e", tar.TypeSymlink}, {"d/x", "", tar.TypeReg}}, "lies behind a link"},
		{"fifo", []m{{"index.json", "", tar.TypeFifo}}, "neither a file nor a directory"},
		{"device", []m{{"x", "", tar.TypeChar}}, "neither a file nor a directory"},
		{"document twice", []m{{"manifest.json", "", tar.TypeReg}, {"./manifest.json", "", tar.TypeReg}}, "is there twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			w := tar.NewWriter(&out)
			for _, e := range c.members {
				if err := w.WriteHeader(&tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: 0o600}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := vetArchive("x.tar", &out)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestVetDir(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		make       func(dir string) error
	}{
		{"plain", "", func(string) error { return nil }},
		{"link inside", "", func(d string) error { return os.Symlink("index.json", filepath.Join(d, "l")) }},
		{"link outside", "leads outside", func(d string) error { return os.Symlink(outside, filepath.Join(d, "l")) }},
		{"link to the parent", "leads outside", func(d string) error { return os.Symlink("..", filepath.Join(d, "l")) }},
		{"link to nothing", "leads nowhere", func(d string) error { return os.Symlink("none", filepath.Join(d, "l")) }},
		{"loop", "leads nowhere", func(d string) error { return os.Symlink("l", filepath.Join(d, "l")) }},
		{"fifo", "neither a file", func(d string) error { return syscall.Mkfifo(filepath.Join(d, "f"), 0o600) }},
		{"link to a fifo", "neither a file", func(d string) error {
			if err := syscall.Mkfifo(filepath.Join(d, "z"), 0o600); err != nil {
				return err
			}
			return os.Symlink("z", filepath.Join(d, "a"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.make(dir); err != nil {
				t.Fatal(err)
			}
			err := vetDir(dir)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func FuzzVetArchive(f *testing.F) {
	f.Add([]byte("x"))
	f.Fuzz(func(_ *testing.T, raw []byte) { _, _ = vetArchive("x", bytes.NewReader(raw)) })
}

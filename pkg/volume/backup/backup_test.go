package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content makes a directory with one of everything that a user can make.
func content(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "content")
	must(t, os.MkdirAll(filepath.Join(dir, "sub", "empty"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "sub", "file"), []byte("text"), 0o640))
	must(t, os.Chmod(filepath.Join(dir, "sub", "file"), 0o4750)) //nolint:gosec // that bit is to be kept
	must(t, os.Link(filepath.Join(dir, "sub", "file"), filepath.Join(dir, "z-hard")))
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	must(t, os.WriteFile(filepath.Join(dir, "na\xffme"), []byte("no UTF-8"), 0o600))
	must(t, os.Symlink("to\xfe", filepath.Join(dir, "li\xfdnk")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, strings.Repeat("long", 40)), nil, 0o600))
	sparse, err := os.OpenFile(filepath.Join(dir, "sparse"), os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	_, err = sparse.WriteAt([]byte("end"), 1<<20)
	must(t, err)
	must(t, sparse.Close())
	if err := unix.Setxattr(filepath.Join(dir, "sub"), "user.a=b%3D", []byte("x\x00y"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	old := time.Unix(981173106, 123456789)
	must(t, os.Chtimes(filepath.Join(dir, "sub"), old, old))
	must(t, os.Chtimes(dir, old, old))
	return dir
}

func write(t *testing.T, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, Write(&out, dir, About{Volume: "v", Labels: map[string]string{"a": "b"}}))
	return out.Bytes()
}

func restore(t *testing.T, data []byte) (string, error) {
	t.Helper()
	a, err := Open(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	dir := t.TempDir()
	err = a.Restore(dir)
	return dir, errors.Join(err, a.Close())
}

func TestRoundTrip(t *testing.T) {
	dir := content(t)
	first := write(t, dir)
	back, err := restore(t, first)
	must(t, err)
	// The same content gives the same archive: names, modes, owners, times, attributes.
	if second := write(t, back); !bytes.Equal(first, second) {
		t.Error("the restored content is another")
	}
	if data, err := os.ReadFile(filepath.Join(back, "z-hard")); err != nil || string(data) != "text" {
		t.Errorf("hard link: %q, %v", data, err)
	}
	var a, b, s unix.Stat_t
	must(t, unix.Stat(filepath.Join(back, "z-hard"), &a))
	must(t, unix.Stat(filepath.Join(back, "sub", "file"), &b))
	must(t, unix.Stat(filepath.Join(back, "sparse"), &s))
	if a.Ino != b.Ino || s.Blocks > 64 || s.Size != 1<<20+3 {
		t.Errorf("inodes %d %d, %d blocks of %d bytes", a.Ino, b.Ino, s.Blocks, s.Size)
	}
	if target, err := os.Readlink(filepath.Join(back, "link")); err != nil || target != "/etc/passwd" {
		t.Errorf("link to %q, %v", target, err)
	}
}

func TestDamaged(t *testing.T) {
	whole := write(t, content(t))
	for cut := 0; cut < len(whole); cut += 397 {
		if _, err := restore(t, whole[:cut]); err == nil {
			t.Fatalf("the first %d of %d bytes were taken for all", cut, len(whole))
		}
	}
	for at := 0; at < len(whole); at += 211 {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x40
		if dir, err := restore(t, bad); err == nil && !bytes.Equal(write(t, dir), whole) {
			t.Fatalf("a bit at %d was changed, and nobody saw it", at)
		}
	}
}

// rewrite passes the entries of an archive through change, which may drop, alter or
// add some, and compresses them anew.
func rewrite(t *testing.T, data []byte, change func(h *tar.Header, body []byte, out func(*tar.Header, []byte))) []byte {
	t.Helper()
	plain, err := zstd.NewReader(bytes.NewReader(data))
	must(t, err)
	defer plain.Close()
	in := tar.NewReader(plain)
	var buf bytes.Buffer
	pressed, err := zstd.NewWriter(&buf)
	must(t, err)
	w := tar.NewWriter(pressed)
	put := func(h *tar.Header, body []byte) {
		h.Size = int64(len(body))
		must(t, w.WriteHeader(h))
		_, err := w.Write(body)
		must(t, err)
	}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		body, err := io.ReadAll(in)
		must(t, err)
		change(h, body, put)
	}
	must(t, w.Close())
	must(t, pressed.Close())
	return buf.Bytes()
}

func TestEdited(t *testing.T) {
	whole := write(t, content(t))
	type put = func(*tar.Header, []byte)
	evil := func(name string, kind byte, link string) func(*tar.Header, []byte, put) {
		return func(h *tar.Header, body []byte, out put) {
			if h.Name == manifestName {
				out(&tar.Header{Name: name, Typeflag: kind, Linkname: link, Mode: 0o600}, nil)
			}
			out(h, body)
		}
	}
	on := func(name string, do func(h *tar.Header, body []byte) []byte) func(*tar.Header, []byte, put) {
		return func(h *tar.Header, body []byte, out put) {
			if h.Name == name {
				body = do(h, body)
			}
			if body != nil {
				out(h, body)
			}
		}
	}
	for _, test := range []struct {
		name, want string
		change     func(*tar.Header, []byte, put)
	}{
		{"content", "not what the manifest says", on("data/sub/file", func(_ *tar.Header, _ []byte) []byte { return []byte("TEXT") })},
		{"mode", "not what the manifest says", on("data/sub/file", func(h *tar.Header, b []byte) []byte { h.Mode = 0o777; return b })},
		{"target", "not what the manifest says", on("data/link", func(h *tar.Header, b []byte) []byte { h.Linkname = "/"; return append(b, []byte{}...) })},
		{"file dropped", "not what the manifest says", func(h *tar.Header, body []byte, out put) {
			if h.Name != "data/fifo" {
				out(h, body)
			}
		}},
		{"file added", "manifest lacks", evil("data/zz-more", tar.TypeReg, "")},
		{"manifest dropped", "truncated", on(manifestName, func(*tar.Header, []byte) []byte { return nil })},
		{"manifest longer", "archive lacks", on(manifestName, func(_ *tar.Header, b []byte) []byte { return append(b, "{}\n"...) })},
		{"manifest wrong", "damaged", on(manifestName, func(_ *tar.Header, b []byte) []byte { return append([]byte("x"), b...) })},
		{"behind it", "behind the manifest", func(h *tar.Header, body []byte, out put) {
			out(h, body)
			if h.Name == manifestName {
				out(&tar.Header{Name: "data/late", Typeflag: tar.TypeReg}, nil)
			}
		}},
		{"newer", "format 9", on(aboutName, func(*tar.Header, []byte) []byte { return []byte(`{"format":9}`) })},
		{"dots", "leads out", evil("data/../../x", tar.TypeReg, "")},
		{"dot dot", "leads out", evil("data/..", tar.TypeDir, "")},
		{"twice the slash", "leads out", evil("data//etc/x", tar.TypeReg, "")},
		{"outside", "no backup", evil("etc/x", tar.TypeReg, "")},
		{"similar", "no backup", evil("database/x", tar.TypeReg, "")},
		{"through a link", "in no directory", evil("data/link/x", tar.TypeReg, "")},
		{"over a link", "file exists", evil("data/link", tar.TypeReg, "")},
		{"hard link out", "no file before it", evil("data/zz", tar.TypeLink, "data/../../etc/passwd")},
		{"hard link through a link", "no file before it", evil("data/zz", tar.TypeLink, "data/link/x")},
		{"odd type", "type", evil("data/zz", tar.TypeCont, "")},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := restore(t, rewrite(t, whole, test.change))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestForeign(t *testing.T) {
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	must(t, w.WriteHeader(&tar.Header{Name: "file", Typeflag: tar.TypeReg}))
	must(t, w.Close())
	for _, test := range []struct {
		name, want string
		data       []byte
	}{
		{"other tar", "no backup", plain.Bytes()},
		{"no tar", "no backup", []byte(strings.Repeat("garbage ", 300))},
		{"short", "truncated", []byte("garbage")},
		{"nothing", "", nil},
	} {
		if _, err := Open(bytes.NewReader(test.data)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("(\xb5/\xfd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Open(bytes.NewReader(data))
		if err != nil {
			return
		}
		_ = a.Restore(t.TempDir())
		_ = a.Close()
	})
}

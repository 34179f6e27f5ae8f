package inroot

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpen(t *testing.T) {
	outside := t.TempDir()
	root := filepath.Join(outside, "root")
	for path, content := range map[string]string{"secret": "outside", "root/etc/name": "inside", "root/secret": "below root"} {
		path = filepath.Join(outside, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"up": "../secret", "deep": "etc/../../../secret", "absolute": "/secret", "real": filepath.Join(outside, "secret"),
		"etc/dir": "/etc", "loop": "loop", "magic": "/proc/self/root/secret",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, content string
		err           error
	}{
		{"etc/name", "inside", nil},
		{"/etc/name", "inside", nil},
		{"etc/dir/dir/name", "inside", nil},
		{"../secret", "below root", nil},
		{"up", "below root", nil},
		{"deep", "below root", nil},
		{"absolute", "below root", nil},
		{"real", "", unix.ENOENT},
		{"magic", "", unix.ENOENT},
		{"loop", "", unix.ELOOP},
		{"etc/name/more", "", unix.ENOTDIR},
		{"none", "", os.ErrNotExist},
	} {
		got := ""
		f, err := OpenRegular(root, tc.path, unix.O_RDONLY)
		if err == nil {
			got = content(t, f)
		}
		if got != tc.content || !errors.Is(err, tc.err) {
			t.Errorf("%s: %q, %v", tc.path, got, err)
		}
	}
	// A handle of a pipe waits for nobody, and no more than that is opened.
	handle, err := OpenAt(root, "fifo")
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	if info, err := handle.Stat(); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("the pipe is %v, %v", info, err)
	}
	for _, path := range []string{"fifo", "etc"} {
		if _, err := OpenRegular(root, path, unix.O_RDONLY); !errors.Is(err, ErrIrregular) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := OpenAt(filepath.Join(root, "none"), "etc/name"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a root: %v", err)
	}
}

// content reads a file and closes it.
func content(t *testing.T, f *os.File) string {
	t.Helper()
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

package filecopy

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMountPointBehindLinks: a file is mounted where a link to nothing leads, in the root.
func TestMountPointBehindLinks(t *testing.T) {
	for name, c := range map[string]struct {
		links map[string]string
		path  string
		want  string // in the root; "" for none
	}{
		"none":       {nil, "/dev/f", "dev/f"},
		"relative":   {map[string]string{"dev/ptmx": "pts/ptmx"}, "/dev/ptmx", "dev/pts/ptmx"},
		"absolute":   {map[string]string{"f": "/etc/new"}, "/f", "etc/new"},
		"two":        {map[string]string{"a": "b", "b": "c"}, "/a", "c"},
		"out of it":  {map[string]string{"a": "../../../x"}, "/a", "x"},
		"round":      {map[string]string{"a": "b", "b": "a"}, "/a", ""},
		"directory":  {map[string]string{"d": "/real", "real/f": "../g"}, "/d/f", "g"},
		"round long": {map[string]string{"a": "a"}, "/a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for at, to := range c.links {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, at)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(to, filepath.Join(dir, at)); err != nil {
					t.Fatal(err)
				}
			}
			root, err := OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			at, err := mountPoint(root, c.path, false)
			if c.want == "" {
				if !errors.Is(err, unix.ELOOP) {
					t.Fatalf("%v, want ELOOP", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer at.Close()
			made, err := os.Stat(filepath.Join(dir, c.want))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := at.Stat(); err != nil || !os.SameFile(got, made) {
				t.Errorf("the handle is not of %s: %v", c.want, err)
			}
		})
	}
}

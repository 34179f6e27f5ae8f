package ociruntime

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRelease(t *testing.T) {
	const id = "0123"
	for name, test := range map[string]struct {
		runtime, id string
		file        func(path string) error
		waits, want bool
	}{
		"created":         {"crun", id, fifo, true, true},
		"nobody waits":    {"crun", id, fifo, false, false},
		"no FIFO":         {"crun", id, func(path string) error { return os.WriteFile(path, nil, 0o600) }, false, false},
		"a link":          {"crun", id, func(path string) error { return os.Symlink("/dev/null", path) }, false, false},
		"started":         {"crun", id, func(string) error { return nil }, false, false},
		"another runtime": {"runc", id, fifo, true, false},
		"outside":         {"crun", "../" + id, fifo, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			path := filepath.Join(root, id, "exec.fifo")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := test.file(path); err != nil {
				t.Fatal(err)
			}
			reader := -1
			if test.waits {
				var err error
				if reader, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
					t.Fatal(err)
				}
				defer unix.Close(reader)
			}
			r := &Runtime{Name: test.runtime, Path: "/usr/bin/" + test.runtime, StateRoot: root}
			if got := r.Release(test.id); got != test.want {
				t.Fatalf("got %v", got)
			}
			if !test.want {
				return
			}
			if n, err := unix.Read(reader, make([]byte, 8)); n != 1 || err != nil {
				t.Errorf("the process got %d bytes: %v", n, err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the FIFO: %v", err)
			}
		})
	}
}

func fifo(path string) error { return unix.Mkfifo(path, 0o600) }

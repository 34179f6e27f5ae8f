package libpod

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	rspec "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestCheckTargets(t *testing.T) {
	root := t.TempDir()
	outside := filepath.Join(t.TempDir(), "pipe")
	for _, dir := range []string{"etc", "dev", "data"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, pipe := range []string{filepath.Join(root, "run"), filepath.Join(root, "etc/hosts"), filepath.Join(root, "dev/shm"), outside} {
		if err := unix.Mkfifo(pipe, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"way": "/run", "out": outside} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		destinations []string
		refused      bool
	}{
		"sound":          {[]string{"/proc", "/data", "/etc/resolv.conf", "/new/place"}, false},
		"target":         {[]string{"/etc/hosts"}, true},
		"on the way":     {[]string{"/proc", "/run/.containerenv"}, true},
		"through a link": {[]string{"/way/x"}, true},
		"covered":        {[]string{"/dev", "/dev/shm"}, false},
		"not covered":    {[]string{"/dev2", "/dev/shm"}, true},
		"outside":        {[]string{"/out"}, false}, // means /... of the container, which is not there
	} {
		t.Run(name, func(t *testing.T) {
			var mounts []rspec.Mount
			for _, d := range test.destinations {
				mounts = append(mounts, rspec.Mount{Destination: d})
			}
			if err := checkTargets(root, mounts); errors.Is(err, errHostileImage) != test.refused || (err != nil) != test.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestIsConsole(t *testing.T) {
	for path, want := range map[string]bool{
		"/dev/tty": false, "/dev/tty0": true, "/dev/tty63": true, "/dev/ttyS0": false, "/dev/ttyUSB1": false, "/dev/null": false, "/dev/x/tty1": false,
	} {
		if got := isConsole(rspec.LinuxDevice{Path: path}); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

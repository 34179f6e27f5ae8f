package volume

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		name, driver string
		given        map[string]string
		want         string // a part of the error, or the arguments of mount(8)
		mounts       bool
	}{
		{"nothing", Local, nil, "-- /v", false},
		{"tmpfs", Local, map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=5,inodes=7"}, "-t tmpfs -o size=1m,uid=5,nr_inodes=7 -- tmpfs /v", true},
		{"tmpfs without device", Local, map[string]string{"type": "tmpfs"}, "-t tmpfs -- tmpfs /v", true},
		{"bind", Local, map[string]string{"type": "bind", "device": dir, "o": "uid=5,ro"}, "-o ro,bind -- " + dir + " /v", true},
		{"docker's bind", Local, map[string]string{"type": "none", "device": dir, "o": "bind"}, "-o bind -- " + dir + " /v", true},
		{"option for mount as device", Local, map[string]string{"type": "none", "device": "--all", "o": "bind"}, "-o bind -- --all /v", true},
		{"overlay", Local, map[string]string{"type": "overlay", "device": "overlay", "o": "lowerdir=/a"}, "-t overlay -o lowerdir=/a,userxattr -- overlay /v", true},
		{"owner", Local, map[string]string{"o": "uid=5,gid=6"}, "-- /v", false},
		{"nocopy", Local, map[string]string{"nocopy": "", "noquota": "true"}, "-- /v", false},
		{"other key", Local, map[string]string{"foo": "bar"}, "invalid mount option foo for driver 'local'", false},
		{"size alone", Local, map[string]string{"size": "1m"}, "type=tmpfs", false},
		{"flags alone", Local, map[string]string{"o": "nodev"}, "type=TYPE", false},
		{"no size", Local, map[string]string{"type": "tmpfs", "o": "size=big"}, "number of bytes", false},
		{"no id", Local, map[string]string{"o": "uid=root"}, "it is a number", false},
		{"negative id", Local, map[string]string{"uid": "-1"}, "it is a number", false},
		{"bind of nothing", Local, map[string]string{"type": "bind"}, "needs device", false},
		{"image", Image, map[string]string{"image": "alpine"}, "-- /v", false},
		{"image without one", Image, nil, "must provide an image name", false},
		{"image with more", Image, map[string]string{"image": "alpine", "o": "ro"}, "invalid mount option o for driver 'image'", false},
		{"plugin", "nas", map[string]string{"anything": "goes"}, "-- /v", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, err := Parse(test.driver, test.given)
			if err != nil {
				if !strings.Contains(err.Error(), test.want) {
					t.Fatalf("got %v, want %q", err, test.want)
				}
				return
			}
			got := strings.Join(strings.Fields(strings.Join(o.arguments("/v", true), " ")), " ")
			if got != test.want || o.Mounts() != test.mounts {
				t.Errorf("got %q, mounts %v", got, o.Mounts())
			}
		})
	}
	o, err := Parse(Local, map[string]string{"type": "tmpfs", "o": "ro,size=1m,noexec"})
	must(t, err)
	if !slices.Equal(o.Flags(), []string{"ro", "noexec"}) || o.Recorded["SIZE"] != "1m" {
		t.Errorf("flags %v, recorded %v", o.Flags(), o.Recorded)
	}
	gone := &Options{Type: "bind", Device: filepath.Join(dir, "none")}
	if err := gone.Check(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a device that is gone: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "A.b-c_9": true, strings.Repeat("n", 255): true, strings.Repeat("n", 256): false,
		"": false, ".": false, "..": false, "a/b": false, "-a": false, "a b": false, "ä": false, "a\n": false,
	} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestPlace(t *testing.T) {
	p := Place(filepath.Join(t.TempDir(), "volumes", "v"))
	must(t, p.Claim())
	must(t, p.Claim()) // what a killed one left
	must(t, p.Make(os.Getuid(), os.Getgid()))
	must(t, p.Make(os.Getuid(), os.Getgid()))
	if err := p.Claim(); !errors.Is(err, ErrForeign) {
		t.Errorf("a volume was taken over: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(p.Data(), "old"), nil, 0o600))
	must(t, p.Stage())
	must(t, os.WriteFile(filepath.Join(p.Staging(), "new"), nil, 0o600))
	must(t, p.Swap())
	for _, path := range []string{filepath.Join(p.Data(), "new"), filepath.Join(p.Staging(), "old")} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
	must(t, p.Sweep())
	must(t, p.Sweep())
	must(t, p.Remove())
	must(t, p.Remove())
	if _, err := os.Lstat(string(p)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there still: %v", err)
	}
}

func TestRemoveFollowsNoLink(t *testing.T) {
	top := t.TempDir()
	outside := filepath.Join(top, "outside")
	must(t, os.MkdirAll(filepath.Join(top, "v", "deep", "er"), 0o755))
	must(t, os.Mkdir(outside, 0o755))
	must(t, os.WriteFile(filepath.Join(outside, "file"), nil, 0o600))
	must(t, os.Symlink(outside, filepath.Join(top, "v", "deep", "link")))
	must(t, os.Symlink(outside, filepath.Join(top, "v", "link")))
	must(t, os.Link(filepath.Join(outside, "file"), filepath.Join(top, "v", "hard")))
	must(t, Remove(filepath.Join(top, "v")))
	must(t, Remove(filepath.Join(top, "none", "below")))
	if _, err := os.Stat(filepath.Join(outside, "file")); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(top); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestFirst(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "empty"), 0o755))
	must(t, os.Chmod(filepath.Join(root, "empty"), 0o770))           //nolint:gosec // it is to be found again
	must(t, os.Symlink("/../../empty", filepath.Join(root, "link"))) // stays inside
	must(t, os.WriteFile(filepath.Join(root, "file"), nil, 0o600))
	for _, path := range []string{"/none", "/file", "/file/below", "/empty", "/link"} {
		first := First{Root: root, Path: path, UID: os.Getuid(), GID: os.Getgid(), Copy: true, Own: true}
		if empty, filled, err := first.Prepare(dir); err != nil || !empty || filled {
			t.Errorf("%s: empty %v, filled %v, %v", path, empty, filled, err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o770 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600))
	if empty, filled, err := (First{Root: root, Path: "/", Copy: true}).Prepare(dir); err != nil || empty || filled {
		t.Errorf("over what is there: empty %v, filled %v, %v", empty, filled, err)
	}
}

package accounts

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLines(t *testing.T) {
	const passwd, group = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\n", "root:x:0:\napp:x:1000:\n"
	self := &User{Name: "me", UID: "7", GID: "8", Gecos: "My:self"}
	for name, c := range map[string]struct {
		wish          Wish
		passwd, group string
	}{
		"root":        {Wish{}, "", ""},
		"name":        {Wish{User: "app"}, "", ""},
		"known":       {Wish{User: "1000", PasswdEntry: "x:x:x:x:x:x:x"}, "", ""},
		"number":      {Wish{User: "1234"}, "1234:*:1234:0:container user:/:/bin/sh\n", "1234:x:1234:1234\n"},
		"with group":  {Wish{User: "1234:55", WorkDir: "/w"}, "1234:*:1234:55:container user:/w:/bin/sh\n", "55:x:55:1234\n"},
		"known group": {Wish{User: "1234:app"}, "1234:*:1234:0:container user:/:/bin/sh\n", ""},
		"keep-id":     {Wish{User: "7:8", Self: self}, "me:*:7:8:Myself:/:/bin/sh\n", "me:x:8:me\n"},
		"entries": {
			Wish{User: "5:6", PasswdEntry: "u$UID:*:$UID:$GID:$NAME:$HOME:/x", GroupEntry: "g$GID:x:$GID:$USERLIST"},
			"u5:*:5:6:container user:/:/x\n", "g6:x:6:5\n",
		},
		"host user":  {Wish{HostUsers: []User{{Name: "h", UID: "9", GID: "9", Home: "/h"}, {Name: "app", UID: "1"}}}, "h:*:9:9::/h:/bin/sh\n", ""},
		"line trick": {Wish{User: "5", WorkDir: "/a\nroot2:*:0:0"}, "5:*:5:0:container user:/aroot2*00:/bin/sh\n", "5:x:5:5\n"},
	} {
		if p, g := c.wish.Lines([]byte(passwd), []byte(group)); p != c.passwd || g != c.group {
			t.Errorf("%s: %q and %q", name, p, g)
		}
	}
}

func TestHostileFiles(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(outside, "secret\n")
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(root, Passwd)
	for name, make := range map[string]func() error{
		"fifo":     func() error { return unix.Mkfifo(at, 0o600) },
		"absolute": func() error { return os.Symlink(outside, at) },
		"relative": func() error { return os.Symlink("../../../../../.."+outside, at) },
		"loop":     func() error { return os.Symlink("passwd", at) },
		"dir":      func() error { return os.Mkdir(at, 0o700) },
		"missing":  func() error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			if err := make(); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(at)
			if data, err := Read(root, Passwd); err != nil || len(data) > 0 {
				t.Errorf("read %q, %v", data, err)
			}
			if err := Append(root, Passwd, "x\n"); err == nil {
				t.Error("appended")
			} else if !errors.Is(err, ErrIrregular) && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("append: %v", err)
			}
			if data, _ := os.ReadFile(outside); string(data) != "secret\n" {
				t.Errorf("outside is now %q", data)
			}
		})
	}
	write(at, "no newline")
	if err := Append(root, Passwd, "x\n"); err != nil {
		t.Fatal(err)
	}
	if data, _ := Read(root, Passwd); string(data) != "no newline\nx\n" {
		t.Errorf("content %q", data)
	}
}

func TestMaxID(t *testing.T) {
	if got := MaxID([]byte("a:x:5:70\nnobody:x:65533:65533\nbad\nn:x:65534:3\n"), []byte("g:x:900:\n")); got != 900 {
		t.Errorf("got %d", got)
	}
}

func TestReadable(t *testing.T) {
	for name, tc := range map[string]struct {
		make func(root string) error
		ok   bool
	}{
		"nothing":      {func(string) error { return nil }, true},
		"a file":       {func(r string) error { return os.WriteFile(r+"/etc/passwd", nil, 0o600) }, true},
		"a directory":  {func(r string) error { return os.Mkdir(r+"/etc/passwd", 0o700) }, true},
		"a pipe":       {func(r string) error { return unix.Mkfifo(r+"/etc/group", 0o600) }, false},
		"link outside": {func(r string) error { return os.Symlink("/dev/null", r+"/etc/passwd") }, true},
		"link to a pipe": {func(r string) error {
			return errors.Join(unix.Mkfifo(r+"/pipe", 0o600), os.Symlink("/pipe", r+"/etc/passwd"))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := errors.Join(os.Mkdir(root+"/etc", 0o700), tc.make(root)); err != nil {
				t.Fatal(err)
			}
			if err := Readable(root); (err == nil) != tc.ok {
				t.Errorf("%v", err)
			}
		})
	}
}

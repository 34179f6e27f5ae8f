package ociruntime

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for name, mode := range map[string]os.FileMode{"zrun": 0o755, "noexec": 0o644, "other": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	search := map[string][]string{"alias": {"/nosuch/x", filepath.Join(dir, "other")}}
	for _, c := range []struct {
		arg, want string
		err       error
	}{
		{"zrun", filepath.Join(dir, "zrun"), nil},
		{"alias", filepath.Join(dir, "other"), nil},
		{filepath.Join(dir, "zrun"), filepath.Join(dir, "zrun"), nil},
		{"noexec", "", ErrNotInstalled},
		{"nosuch-runtime", "", ErrNotInstalled},
		{filepath.Join(dir, "absent"), "", os.ErrNotExist},
		{dir, dir, unix.EISDIR},
	} {
		got, err := Find(c.arg, search)
		if !errors.Is(err, c.err) {
			t.Errorf("Find(%q): error %v, want %v", c.arg, err, c.err)
		}
		if c.err == nil && got != c.want {
			t.Errorf("Find(%q) = %q, want %q", c.arg, got, c.want)
		}
		if c.err != nil && err != nil && !strings.Contains(err.Error(), c.arg) {
			t.Errorf("Find(%q): error %q does not name it", c.arg, err)
		}
	}
	_, err := Find("nosuch-runtime", nil)
	for _, part := range []string{dir, "install the package nosuch-runtime"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v lacks %q", err, part)
		}
	}
}

func TestEnviron(t *testing.T) {
	got := Environ([]string{
		"PATH=/bin", "XDG_RUNTIME_DIR=/run/x", "_CONTAINERS_ROOTLESS_UID=1000", "CONTAINERS_CONF=/c",
		"NOTIFY_SOCKET=/n", "LISTEN_FDS=1", "LC_ALL=de_DE", "SECRET=1", "HOME=/h", "_OCI_SYNCPIPE=7",
		"DBUS_SESSION_BUS_ADDRESS=unix:path=/b",
	})
	want := []string{
		"PATH=/bin", "XDG_RUNTIME_DIR=/run/x", "_CONTAINERS_ROOTLESS_UID=1000", "CONTAINERS_CONF=/c", "HOME=/h",
		"DBUS_SESSION_BUS_ADDRESS=unix:path=/b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
}

func TestCreateArgs(t *testing.T) {
	base := func() CreateOptions {
		return CreateOptions{ID: "abc", Name: "n", RunDir: "/run/abc", Log: Log{Driver: LogK8sFile, Path: "/l/ctr.log"}}
	}
	for _, c := range []struct {
		name    string
		runtime Runtime
		change  func(*CreateOptions)
		has     string // consecutive arguments, separated by spaces
		lacks   string
		err     string
	}{
		{name: "paths", has: "-b /run/abc -p /run/abc/pidfile --exit-dir /run/abc --full-attach"},
		{name: "log file", has: "-l k8s-file:/l/ctr.log"},
		{name: "pipes", lacks: "-t"},
		{name: "no input", lacks: "-i"},
		{name: "stdin", change: func(o *CreateOptions) { o.Stdin = true }, has: "-i"},
		{name: "terminal", change: func(o *CreateOptions) { o.Terminal, o.Stdin = true, true }, has: "-t", lacks: "-i"},
		{name: "crun without cgroups", runtime: Runtime{Path: "/usr/bin/crun"}, has: "--runtime-arg --cgroup-manager=disabled"},
		{name: "runc without cgroups", runtime: Runtime{Path: "/usr/sbin/runc"}, lacks: "--cgroup-manager=disabled"},
		{name: "cgroupfs", runtime: Runtime{Path: "/usr/bin/crun", CgroupManager: CgroupFS}, lacks: "--cgroup-manager=disabled"},
		{name: "systemd", runtime: Runtime{Path: "/usr/bin/crun", CgroupManager: CgroupSystemd}, has: "-s"},
		{name: "root and flags", runtime: Runtime{Path: "/r", StateRoot: "/s", Flags: []string{"--debug"}}, has: "--runtime-arg --root --runtime-arg /s --runtime-arg --debug"},
		{
			name: "exit command", change: func(o *CreateOptions) { o.ExitCommand = []string{"/pod", "--x", "y"} },
			has: "--exit-command /pod --exit-command-arg --x --exit-command-arg y",
		},
		{name: "timeout", change: func(o *CreateOptions) { o.Timeout = 7 }, has: "-T 7"},
		{name: "journal", change: func(o *CreateOptions) { o.Log = Log{Driver: LogJournald, Tag: "t"} }, has: "-l journald --log-tag t"},
		{name: "no log", change: func(o *CreateOptions) { o.Log = Log{} }, has: "-l none"},
		{name: "no path", change: func(o *CreateOptions) { o.Log.Path = "" }, err: "needs a path"},
		{name: "unknown driver", change: func(o *CreateOptions) { o.Log.Driver = "syslog" }, err: "syslog is not supported"},
		{name: "relative", change: func(o *CreateOptions) { o.RunDir = "x" }, err: "not absolute"},
		{name: "passthrough alone", change: func(o *CreateOptions) { o.Log = Log{Driver: LogPassthrough} }, err: "go together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := base()
			if c.change != nil {
				c.change(&o)
			}
			args, err := c.runtime.createArgs(o)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			line := " " + strings.Join(args, " ") + " "
			if !strings.Contains(line, " "+c.has+" ") && c.has != "" {
				t.Errorf("%s lacks %q", line, c.has)
			}
			if c.lacks != "" && strings.Contains(line, " "+c.lacks+" ") {
				t.Errorf("%s has %q", line, c.lacks)
			}
		})
	}
}

func TestReadAnswer(t *testing.T) {
	for _, c := range []struct {
		name, written string
		data          int
		message       string
		err           error
	}{
		{"pid", "{\"data\": 42}\n", 42, "", nil},
		{"failure", `{"data": -1, "message": "a \"b\"\n"}` + "\n", -1, "a \"b\"\n", nil},
		{"control byte", "{\"data\": -1, \"message\": \"a\x1fb\"}\n", -1, "ab", nil},
		{"nothing", "", 0, "", errNoAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			_, _ = w.WriteString(c.written)
			w.Close()
			a, err := readAnswer(t.Context(), r, bufio.NewReader(r))
			if !errors.Is(err, c.err) || a.Data != c.data || a.Message != c.message {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
}

func TestExitCode(t *testing.T) {
	dir := t.TempDir()
	if exit, ok, err := ExitCode(dir, "none"); ok || err != nil || !exit.Unknown || exit.Code != -1 {
		t.Errorf("no file: %+v, %v, %v", exit, ok, err)
	}
	for _, c := range []struct {
		id, text string
		oom      bool
		code     int
		bad      bool
	}{
		{"ok", "0", false, 0, false},
		{"killed", "137", true, 137, false},
		{"timeout", "-1", false, CodeTimedOut, false},
		{"newline", "3\n", false, 3, false},
		{"empty", "", false, 0, true},
		{"garbage", "x", false, 0, true},
	} {
		if err := os.WriteFile(filepath.Join(dir, c.id), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		oom := filepath.Join(dir, oomFile)
		_ = os.Remove(oom)
		if c.oom {
			if err := os.WriteFile(oom, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		exit, ok, err := ExitCode(dir, c.id)
		if (err != nil) != c.bad || ok == c.bad || !c.bad && (exit.Code != c.code || exit.OOM != c.oom || exit.Unknown || exit.At.IsZero()) {
			t.Errorf("%s: %+v, %v, %v", c.id, exit, ok, err)
		}
	}
}

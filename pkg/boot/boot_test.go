package boot

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newHost(t *testing.T, systemd bool) *Host {
	t.Helper()
	sys := t.TempDir()
	h := &Host{
		UID: 1000, User: "dev", Home: filepath.Join(sys, "home"), RunBase: filepath.Join(sys, "run"), Sys: sys,
		GraphRoot: filepath.Join(sys, "store"), DefaultRoot: filepath.Join(sys, "store"),
		Argv:    []string{"/bin/sh", "--root=/a b/50%/$x\"\\"},
		Environ: []string{"HOME=/h", "SECRET=s", "CONTAINERS_CONF=/c 100%'s", "XDG_CONFIG_HOME=/x", "CONTAINERS_X=a\nb"},
	}
	if systemd {
		for _, dir := range []string{"run/systemd/system", "var/lib/systemd/linger"} {
			if err := os.MkdirAll(filepath.Join(sys, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(sys, "var/lib/systemd/linger/dev"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func status(t *testing.T, h *Host, installed, works bool, problem string) Status {
	t.Helper()
	s, err := h.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if s.Installed != installed || s.Works != works || !strings.Contains(strings.Join(s.Problems, "\n"), problem) {
		t.Errorf("status %+v, want installed %v, works %v, problem %q", s, installed, works, problem)
	}
	return s
}

func TestSystemd(t *testing.T) {
	t.Parallel()
	h := newHost(t, true)
	ctx := context.Background()
	status(t, h, false, false, "`pod boot enable`")
	for range 2 {
		if err := h.Enable(ctx); err != nil {
			t.Fatal(err)
		}
		status(t, h, true, true, "")
	}
	if !h.Installed() {
		t.Error("Installed is false")
	}
	text, err := os.ReadFile(filepath.Join(h.Home, ".config/systemd/user/pod-restart.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nExecStart=\"/bin/sh\" \"--root=/a b/50%%/$$x\\\"\\\\\" \"boot\" \"run\"\n",
		"\nEnvironment=\"CONTAINERS_CONF=/c 100%%'s\"\nEnvironment=\"XDG_CONFIG_HOME=/x\"\n", "\nWantedBy=default.target\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if err := os.Remove(h.sys("var/lib/systemd/linger/dev")); err != nil {
		t.Fatal(err)
	}
	status(t, h, true, false, "as root, `loginctl enable-linger dev`")
	h.Argv[0] = "/nowhere/pod"
	status(t, h, true, false, "/nowhere/pod is not there any more")
	for range 2 {
		if err := h.Disable(ctx); err != nil {
			t.Fatal(err)
		}
		status(t, h, false, false, "nothing is installed")
	}
	if h.Installed() {
		t.Error("Installed is true after Disable")
	}
}

func TestPackagedUnit(t *testing.T) {
	t.Parallel()
	h := newHost(t, true)
	h.Environ = nil
	ctx := context.Background()
	unit := h.sys("usr/lib/systemd/user/pod-restart.service")
	all := h.sys("etc/systemd/user/default.target.wants/pod-restart.service")
	for _, dir := range []string{filepath.Dir(unit), filepath.Dir(all), filepath.Dir(h.wantedBy())} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(unit, []byte("[Unit]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status(t, h, false, false, "nothing is installed")
	for _, link := range []string{all, h.wantedBy()} { // systemctl --global enable, --user enable
		if err := os.Symlink(unit, link); err != nil {
			t.Fatal(err)
		}
		if s := status(t, h, true, true, ""); s.Where != unit {
			t.Errorf("where is %s, want %s", s.Where, unit)
		}
	}
	h.Environ = []string{"XDG_DATA_HOME=/x"}
	status(t, h, true, false, "does not know your environment (XDG_DATA_HOME=/x)")
	if err := h.Enable(ctx); err != nil { // over the link that is there
		t.Fatal(err)
	}
	if s := status(t, h, true, true, ""); s.Where != h.unit() {
		t.Errorf("where is %s, want %s", s.Where, h.unit())
	}
	if err := h.Disable(ctx); err == nil || !strings.Contains(err.Error(), "is enabled for all users") {
		t.Errorf("Disable says %v of what it cannot undo", err)
	}
	if err := os.Remove(all); err != nil {
		t.Fatal(err)
	}
	if err := h.Disable(ctx); err != nil {
		t.Fatal(err)
	}
	status(t, h, false, false, "nothing is installed")
	if err := os.Symlink("/dev/null", h.unit()); err != nil { // systemctl --user mask
		t.Fatal(err)
	}
	status(t, h, false, false, "masked")
	h.GraphRoot = "/other"
	if h.packaged() != "" {
		t.Error("the unit of the default store serves another one")
	}
}

func TestStoresApart(t *testing.T) {
	t.Parallel()
	a, b := newHost(t, true), newHost(t, true)
	b.GraphRoot = "/other"
	if a.name() != "pod-restart" || !strings.HasPrefix(b.name(), "pod-restart-") {
		t.Errorf("names %s, %s", a.name(), b.name())
	}
	if a.ours(b.cronLine()) || b.ours(a.cronLine()) || !a.ours(a.cronLine()) {
		t.Error("lines of two stores are mixed up")
	}
}

// fakeCron puts a crontab program into the path that keeps its lines in a file.
func fakeCron(t *testing.T, h *Host) string {
	t.Helper()
	file := h.sys("crontab")
	program := "#!/bin/sh\ncase $1 in\n-l) cat " + file + " 2>/dev/null || { echo 'no crontab for dev' >&2; exit 1; } ;;\n-r) rm " + file + " ;;\n-) cat >" + file + " ;;\nesac\n"
	if err := os.WriteFile(h.sys("bin"), []byte(program), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Rename(h.sys("bin"), filepath.Join(dir, "crontab")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return file
}

func TestCron(t *testing.T) {
	h := newHost(t, false)
	ctx := context.Background()
	file := fakeCron(t, h)
	status(t, h, false, false, "nothing is installed")
	if err := h.Enable(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.Disable(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) { //nolint:forbidigo // as short as it gets
		t.Errorf("a crontab that was not there is: %v", err)
	}
	const other = "# mine\n5 4 * * * true\n"
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Enable(ctx); err != nil {
			t.Fatal(err)
		}
	}
	s, err := h.Status(ctx)
	if err != nil || !s.Installed || !h.Installed() {
		t.Errorf("status %+v, %v", s, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := other + `@reboot PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CONTAINERS_CONF='/c 100\%'\''s' XDG_CONFIG_HOME=/x /bin/sh '--root=/a b/50\%/$x"\' boot run # pod-restart` + "\n"
	if string(data) != want {
		t.Errorf("crontab\n%s\nwant\n%s", data, want)
	}
	if err := h.Disable(ctx); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != other || h.Installed() {
		t.Errorf("after Disable: %q, %v", data, err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := h.Enable(ctx); err == nil || !strings.Contains(err.Error(), "install cron") {
		t.Errorf("without crontab: %v", err)
	}
}

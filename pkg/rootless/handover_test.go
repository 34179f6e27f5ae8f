package rootless_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// install makes the probe a pod with a quick beside it, and returns quick's path.
func (h *host) install(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(h.probe)
	if err != nil {
		t.Fatal(err)
	}
	quick := filepath.Join(h.dir, "libexec/pod/quick-0123456789abcdef")
	h.probe = filepath.Join(h.dir, "bin/pod")
	for _, path := range []string{h.probe, quick} {
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, program, 0o755)) //nolint:gosec // users execute it
	}
	if err != nil {
		t.Fatal(err)
	}
	return quick
}

func TestHandOver(t *testing.T) {
	h := newHost(t)
	quick := h.install(t)
	dir := h.runDir(t, uidRich, 0o700)
	// quick runs a command line in quick, with a umask, and returns what pod says.
	run := func(c call, program ...string) report {
		t.Helper()
		c.uid, c.xdg = uidRich, dir
		cmd := h.command(t, c)
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `umask 0027; exec "$@"`, "sh"}, program...)
		out, err := cmd.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Logf("%s", exit.Stderr)
		}
		var r report
		if err := errors.Join(err, json.Unmarshal(out, &r)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := run(call{}, quick, "ps", "two words", "")
	second := run(call{dir: h.dir}, quick, "ps", "two words", "")
	own := h.run(t, call{uid: uidRich, xdg: dir})
	for name, r := range map[string]report{"when there is no namespace yet": first, "when quick has joined": second} {
		if r.Error != "" || r.User != own.User || r.Mnt != own.Mnt || r.EUID != 0 || r.Session == nil || !r.Session.Rootless || !r.Session.Inside {
			t.Errorf("%s: %+v is not where pod is by itself: %+v", name, r, own)
			continue
		}
		if r.Session.Within || r.Session.HostUID != uidRich || r.Session.HostGID != uidRich {
			t.Errorf("%s: session %+v", name, r.Session)
		}
		if r.Entry.Umask != 0o027 || strings.Join(r.Args[1:], "|") != "ps|two words|" {
			t.Errorf("%s: umask %o, arguments %q", name, r.Entry.Umask, r.Args)
		}
	}
	if second.Dir != h.dir {
		t.Errorf("in %s, want %s", second.Dir, h.dir)
	}
	if r := run(call{}, h.probe, "exec", quick, "ps"); r.Session == nil || !r.Session.Within || !r.Session.Inside {
		t.Errorf("started by pod unshare: session %+v", r.Session)
	}
	out, err := h.command(t, call{uid: uidRich, xdg: dir, args: []string{"exec", quick, "exec", "env"}}).Output()
	if err != nil || strings.Contains(string(out), "_POD_") {
		t.Errorf("environment of a command: %s, %v", out, err)
	}
}

func TestHandOverLostDir(t *testing.T) {
	h := newHost(t)
	quick := h.install(t)
	dir := h.runDir(t, uidRich, 0o700)
	h.run(t, call{uid: uidRich, xdg: dir})
	closed := filepath.Join(h.dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := h.command(t, call{uid: uidRich, xdg: dir})
	cmd.SysProcAttr = nil
	cmd.Path, cmd.Args = "/usr/bin/setpriv", []string{"setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", quick, "ps"}
	cmd.Dir = closed
	out, err := cmd.Output()
	var r report
	if err := errors.Join(err, json.Unmarshal(out, &r)); err != nil || r.Dir != "/" || r.Entry.LostDir != closed {
		t.Errorf("in %q, lost %q, %v", r.Dir, r.Entry.LostDir, err)
	}
}

func TestHandOverWithoutPod(t *testing.T) {
	h := newHost(t)
	quick := h.install(t)
	tests := map[string]struct{ path, want string }{
		"uninstalled":   {quick, "execute " + h.probe},
		"not installed": {filepath.Join(h.dir, "quick-0"), "beside bin/pod"},
	}
	if err := errors.Join(os.Link(quick, tests["not installed"].path), os.Remove(h.probe)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cmd := h.command(t, call{uid: uidRich})
			cmd.Path = tt.path
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("%s, %v", out, err)
			}
		})
	}
}
